//! Owns whether the holder of a valid credential may send a request of the management API: audience, scope, user, limits.
//! Whether the credential is valid is decided in `engine::verify`.

use super::write_limit;
use crate::{
    app::App,
    model::{
        clock::Timestamp,
        error::Error,
        management_api::{self, Scope},
        plan::Plan,
        principal::Principal,
        reason::Reason,
        user::User,
    },
};

/// Requests of one user within a second, whatever the plan: enough for any script, too few to overload the store.
const BURST: u32 = 100;
/// Scopes usable with a key that belongs to a project: everything else belongs to the owner or to the deployment.
const OF_A_PROJECT: [Scope; 5] =
    [Scope::KeysRead, Scope::KeysWrite, Scope::ProjectsRead, Scope::ProjectsWrite, Scope::UsageRead];

/// What an endpoint requires.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The scope.
    pub scope: Scope,
    /// Whether only administrators may call it.
    pub admin: bool,
    /// Whether it may change something.
    pub is_write: bool,
}

/// Whether the holder of a valid credential may send this request.
#[derive(Debug)]
pub enum Judged {
    /// This user may.
    Allowed(User),
    /// Not, and why.
    Refused(Reason),
}

/// Checks that a valid credential is for this API, has a user, and is within its limits.
pub async fn judge(app: &App, now: Timestamp, principal: &Principal, needs: Needs) -> Result<Judged, Error> {
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
