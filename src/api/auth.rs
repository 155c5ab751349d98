//! Owns who may use the management API: the holder of a Bearer credential with the scope an endpoint needs, or the operator
//! at this machine's command line. Handlers take the checked caller, [`Authorized`] or [`Admin`]. Whether a credential is
//! valid is decided in `engine::verify`, whether its holder may send a request in `http::management_access`.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};

use crate::{
    app::App,
    engine::{
        admin_read,
        attenuation::Attenuation,
        verify::{Verification, Verified},
    },
    http::{
        credential::CredentialCheck,
        extract::{RequestInfo, bearer},
        management_access::{self, Judged, Needs},
        problem::Problem,
    },
    model::{
        audit::{Act, Origin},
        denial::DeniedRequest,
        email,
        error::{Error, ErrorCode},
        management_api::{Needed, Scope},
        principal::{Presentation, Rejection},
        reason::Reason,
        user::User,
    },
};

pub use crate::model::management_api::needs::*;

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
    pub fn holder(&self) -> Option<&Holder> {
        match &self.who {
            Who::Operator => None,
            Who::Holder(holder) => Some(holder),
        }
    }

    /// Whether the caller may act on other users' things.
    pub fn is_admin(&self) -> bool {
        self.bounds().is_admin()
    }

    /// The act of this request. The audit log names the user with the key or client, or the command line.
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
    pub fn sees(&self, user_id: &str) -> bool {
        self.is_admin() || self.bounds().is_user(user_id)
    }

    /// The bounds of what the caller may create.
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
        Ok(Self(caller(parts, app, S::SCOPE, S::IS_PERSONAL, false).await?, PhantomData))
    }
}

impl<S: Needed> FromRequestParts<Arc<App>> for Admin<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self(caller(parts, app, S::SCOPE, S::IS_PERSONAL, true).await?, PhantomData))
    }
}

async fn caller(parts: &mut Parts, app: &App, scope: Scope, is_personal: bool, admin: bool) -> Result<Caller, Problem> {
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
    // RFC 9110 §9.2.1.
    let is_write = !parts.method.is_safe();
    let needs = Needs { scope, admin, is_write };
    let (user, credential) = match management_access::judge(app, info.now, used.principal(), needs).await? {
        Judged::Allowed(user) => (user, used.allow()),
        Judged::Refused(reason) => return Err(used.deny(reason, asked).reason.into()),
    };
    let caller = Caller { info, who: Who::Holder(Box::new(Holder { user, credential, asked })) };
    // An administrator's look at other users' things is recorded, whatever the method; a PATCH that changes nothing is one.
    if is_personal && caller.is_admin() && (!is_write || parts.method == Method::PATCH) {
        admin_read::record(&app.store, caller.act(), parts.uri.path(), parts.uri.query()).await?;
    }
    Ok(caller)
}
