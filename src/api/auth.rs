//! Owns who may use the management API: the holder of a Bearer credential with the scope an endpoint needs, or the operator
//! at this machine's command line. Handlers take the checked caller, [`Authorized`] or [`Admin`]. Whether a credential is
//! valid is decided in `engine::verify`.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::{
    app::App,
    engine::{
        attenuation::Attenuation,
        verify::{Verification, Verified},
    },
    http::{
        credential::CredentialCheck,
        extract::{RequestInfo, bearer},
        problem::Problem,
        write_limit,
    },
    model::{
        audit::{Act, Event, Origin},
        clock::Timestamp,
        denial::DeniedRequest,
        email,
        error::{Error, ErrorCode},
        management_api::{self, Needed, Scope},
        plan::Plan,
        principal::{Presentation, Principal, Rejection},
        reason::Reason,
        user::User,
    },
};

pub use crate::model::management_api::needs::*;

/// Requests of one user within a second, whatever the plan: enough for any script, too few to overload the store.
const BURST: u32 = 100;
/// Longest query filter that is recorded, in bytes: an email address, escaped for a URL.
const WHOSE_MAX: usize = 800;

/// Scopes usable with a key that belongs to a project: other things belong to its owner or to nobody.
const OF_A_PROJECT: [Scope; 5] =
    [Scope::KeysRead, Scope::KeysWrite, Scope::ProjectsRead, Scope::ProjectsWrite, Scope::UsageRead];

/// Marks the operator at this machine's own command line, who may do everything, as with the database itself. It is
/// a request extension, so no request over the network can carry it.
#[derive(Clone, Copy, Debug)]
pub struct Operator;

/// Such as `grantd:keys:read`. The catalog's scopes are for what belongs to no user.
#[derive(Debug)]
pub struct CatalogRead;

impl Needed for CatalogRead {
    const SCOPE: Scope = Scope::KeysRead;
    const IS_PERSONAL: bool = false;
}

/// A caller with this scope: for the caller's own things, or for everything if an administrator.
#[derive(Debug)]
pub struct Authorized<S>(pub Caller, pub(super) PhantomData<S>);

/// An administrator with this scope.
#[derive(Debug)]
pub struct Admin<S>(pub Caller, pub(super) PhantomData<S>);

/// A request and its caller.
#[derive(Debug)]
pub struct Caller {
    /// The request's id, time and addresses.
    pub info: RequestInfo,
    /// The caller.
    pub who: Who,
}

/// Who sent the request.
#[derive(Debug)]
pub enum Who {
    /// The command line next to the database, which may do everything.
    Operator,
    /// The holder of a credential.
    Holder(Box<Holder>),
}

/// The holder of a credential.
#[derive(Debug)]
pub struct Holder {
    /// The credential's user.
    pub user: User,
    /// The credential.
    pub credential: Verified,
    /// The request, recorded for the credential's owner if it is refused.
    asked: DeniedRequest,
}

impl Caller {
    /// The holder of a credential, if it is one.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match &self.who {
            Who::Operator => None,
            Who::Holder(holder) => Some(holder),
        }
    }

    /// Whether the caller may act on other users' things.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.bounds().is_admin()
    }

    /// The act of this request. The audit log names the user with the key or client, or the command line.
    #[must_use]
    pub fn act(&self) -> Act {
        match &self.who {
            Who::Operator => {
                Act { now: self.info.now, origin: Origin { actor: "cli".to_owned(), ..Origin::default() } }
            }
            Who::Holder(holder) => self.info.act(&holder.actor()),
        }
    }

    /// The user whose things are listed: the caller, or for an administrator everybody (`None`) or the user given by id or
    /// email. To others, another user does not exist.
    pub async fn owner_filter(&self, app: &App, named: Option<&str>) -> Result<Option<String>, Problem> {
        match (self.holder().map(|holder| &holder.user).filter(|user| !user.admin), named) {
            (Some(user), None) => Ok(Some(user.id.clone())),
            (Some(user), Some(name)) => {
                let own = name == user.id || name.eq_ignore_ascii_case(&user.email);
                if own { Ok(Some(user.id.clone())) } else { Err(no_such("user").into()) }
            }
            (None, Some(name)) => Ok(Some(find_user(app, name).await?.ok_or_else(|| no_such("user"))?.id)),
            (None, None) => Ok(None),
        }
    }

    /// The owner of a new thing: the caller, or the user an administrator names.
    pub async fn owner(&self, app: &App, named: Option<&str>) -> Result<User, Problem> {
        self.server_only("user", named.is_some())?;
        let missing = || Error::no_such("user");
        match (named, &self.who) {
            (Some(name), _) => Ok(find_user(app, name).await?.ok_or_else(missing)?),
            (None, Who::Holder(holder)) => Ok(holder.user.clone()),
            (None, Who::Operator) => Err(Error::invalid_request("user is required").into()),
        }
    }

    /// Refuses a member that only administrators may set.
    pub fn server_only(&self, member: &'static str, is_given: bool) -> Result<(), Problem> {
        if is_given && !self.is_admin() {
            return Err(Error::invalid_request(format!("only an administrator may set {member}")).into());
        }
        Ok(())
    }

    /// Whether this caller may see what belongs to `user_id`.
    #[must_use]
    pub fn sees(&self, user_id: &str) -> bool {
        self.is_admin() || self.bounds().is_user(user_id)
    }

    /// The bounds of what the caller may create.
    #[must_use]
    pub fn bounds(&self) -> Attenuation<'_> {
        match &self.who {
            Who::Operator => Attenuation::OPERATOR,
            Who::Holder(holder) => Attenuation::by(&holder.user, &holder.credential.value.principal),
        }
    }

    /// The engine's rules for this caller. If the request went beyond the credential, its owner can see why.
    pub fn note_escalation<T>(&self, app: &App, judged: Result<T, impl Into<Error>>) -> Result<T, Problem> {
        let judged = judged.map_err(Into::into);
        if let (Err(error), Some(holder)) = (&judged, self.holder())
            && error.code == ErrorCode::InsufficientScope
        {
            let catalog = app.catalog.current();
            let (from, api) = (Presentation::default(), catalog.management_api.as_ref());
            let check = CredentialCheck { app, info: &self.info, from, api, introspected_by: None };
            let reason = Reason::Narrow(error.description.clone());
            drop(check.refuse(Rejection::of(reason, &holder.credential.value.principal), holder.asked.clone()));
        }
        Ok(judged?)
    }
}

impl Holder {
    /// The user, with the key or client that acts for them.
    fn actor(&self) -> String {
        let principal = &self.credential.value.principal;
        let with = principal.key.as_ref().map(|key| key.id.as_str()).or(principal.client_id.as_deref());
        format!("{} {}", self.user.id, with.unwrap_or_default())
    }
}

/// The error for a thing that does not exist or is not the caller's.
pub(super) fn no_such(what: &'static str) -> Error {
    Error { code: ErrorCode::NotFound, ..Error::no_such(what) }
}

async fn find_user(app: &App, name: &str) -> Result<Option<User>, Problem> {
    if !name.contains('@') {
        return Ok(app.store.find_user(name).await?);
    }
    Ok(match email::normalize(name) {
        Ok(email) => app.store.find_user_by_email(&email).await?.map(|(user, _)| user),
        Err(_) => None,
    })
}

impl<S: Needed> FromRequestParts<Arc<App>> for Authorized<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let needs =
            Needs { scope: S::SCOPE, is_personal: S::IS_PERSONAL, admin: false, is_write: is_write(&parts.method) };
        Ok(Self(caller(parts, app, needs).await?, PhantomData))
    }
}

impl<S: Needed> FromRequestParts<Arc<App>> for Admin<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let needs =
            Needs { scope: S::SCOPE, is_personal: S::IS_PERSONAL, admin: true, is_write: is_write(&parts.method) };
        Ok(Self(caller(parts, app, needs).await?, PhantomData))
    }
}

/// What an endpoint requires.
#[derive(Clone, Copy)]
struct Needs {
    scope: Scope,
    is_personal: bool,
    admin: bool,
    is_write: bool,
}

/// Whether the holder of a valid credential may send this request.
enum Judged {
    Allowed(User),
    Refused(Reason),
}

/// Whether a request of this method may change something (RFC 9110 §9.2.1).
fn is_write(method: &Method) -> bool {
    !method.is_safe()
}

async fn caller(parts: &mut Parts, app: &App, needs: Needs) -> Result<Caller, Problem> {
    let operator = parts.extensions.get::<Operator>().is_some();
    let info = parts.extensions.remove::<RequestInfo>().ok_or_else(|| Error::server("the edge layer did not run"))?;
    if operator {
        return Ok(Caller { info, who: Who::Operator });
    }
    let catalog = app.catalog.current();
    let check = CredentialCheck::of(app, &info, &parts.headers, catalog.management_api.as_ref());
    if check.is_in_url(parts.uri.query().unwrap_or_default(), &[]) {
        let message = "credentials belong in the Authorization header, not in the URL; revoke this one";
        return Err(Error::invalid_request(message).into());
    }
    let presented = bearer(&parts.headers).map_err(|_| Reason::Unknown)?.ok_or(Reason::Missing)?;
    let asked = DeniedRequest::of(parts.method.as_str(), parts.uri.path());
    let used = match check.verify(presented).await? {
        Verification::Accepted(used) => used,
        Verification::Rejected(rejection) => return Err(check.deny(rejection, asked).reason.into()),
    };
    let (user, credential) = match judge(app, info.now, used.principal(), needs).await? {
        Judged::Allowed(user) => (user, used.allow()),
        Judged::Refused(reason) => return Err(used.deny(reason, asked).reason.into()),
    };
    let caller = Caller { info, who: Who::Holder(Box::new(Holder { user, credential, asked })) };
    if needs.is_personal {
        audit_admin_read(app, &caller, parts).await?;
    }
    Ok(caller)
}

/// Checks that a valid credential is for this API, has a user, and is within its limits.
async fn judge(app: &App, now: Timestamp, principal: &Principal, needs: Needs) -> Result<Judged, Error> {
    let refused = |reason| Ok(Judged::Refused(reason));
    let catalog = app.catalog.current();
    let is_ours = |uri: &String| catalog.management_api.as_ref().is_some_and(|api| api.identifier == *uri);
    if !principal.audience.iter().any(is_ours) {
        return refused(Reason::AudienceScope(needs.scope.name().to_owned()));
    }
    if !principal.scopes.contains(needs.scope.name()) {
        return refused(Reason::Scope(needs.scope.name().to_owned()));
    }
    let found = match &principal.user {
        Some(user) => app.store.find_user(&user.id).await?,
        None => None,
    };
    let Some(user) = found.filter(|user| user.active) else {
        return refused(Reason::Forbidden("a client acting for itself has no user; use an API key"));
    };
    if needs.admin && !user.admin {
        return refused(Reason::Forbidden("only administrators may do this"));
    }
    let of_project = principal.key.as_ref().is_some_and(|key| key.project.is_some());
    if of_project && !OF_A_PROJECT.contains(&needs.scope) {
        return refused(Reason::Narrow("a project's key can only be used for that project".into()));
    }
    let plan = Plan { name: String::new(), per_hour: None, burst: BURST };
    let verdict = app.limiter.count(now, &plan, &user.id, management_api::SLUG).await?;
    if verdict.is_some_and(|verdict| verdict.exceeded) {
        return refused(Reason::Limited { retry_after: 1, why: format!("at most {BURST} requests per second").into() });
    }
    if needs.is_write {
        let key = principal.key.as_ref().map(|key| key.id.as_str());
        if let Err(Error { retry_after, description: why, .. }) = write_limit::admit(app, now, &user.id, key).await {
            return refused(Reason::Limited { retry_after: retry_after.unwrap_or(1), why });
        }
    }
    Ok(Judged::Allowed(user))
}

/// An administrator's look at another user's things is recorded, whatever the method. If that fails, the request
/// is refused.
async fn audit_admin_read(app: &App, caller: &Caller, parts: &Parts) -> Result<(), Problem> {
    // A PATCH that changes nothing is a read.
    if caller.is_admin() && (parts.method.is_safe() || parts.method == Method::PATCH) {
        // The user asked for, if any, read in the same way as in the handler, so that no spelling hides it.
        let asked = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let mut whose = asked.filter(|(name, value)| ["user", "email"].contains(&&**name) && value.len() <= WHOSE_MAX);
        let looked_at = match whose.next() {
            Some((name, value)) => format!("{}?{name}={}", parts.uri.path(), utf8_percent_encode(&value, CONTROLS)),
            None => parts.uri.path().to_owned(),
        };
        let event = Event::new("admin.read").object(&looked_at);
        let Act { now, origin } = caller.act();
        app.store.audit(now, vec![(origin, event)]).await?;
    }
    Ok(())
}
