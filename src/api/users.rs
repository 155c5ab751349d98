//! Owns `/api/v1/users`, for administrators. Passwords are set once, when a user is made; nobody's is changed here. Nor is
//! anybody made an administrator: that takes the command line beside the database.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{Admin, Caller, UsersRead, UsersWrite, no_such},
    idempotency::{Guarded, JsonResponse, found},
    json::JsonBody,
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    app::App,
    engine::new_password::{NewPassword, PasswordOwner},
    http::{problem::Problem, reply},
    model::{
        email,
        error::{Error, ErrorCode},
        secret::{new_id, random_base62},
        text,
        user::User as Record,
    },
    store::{self, NewUser},
};

/// A person who signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// `user_…`
    #[schema(format = "user-id")]
    id: String,
    /// Address to sign in with
    #[schema(format = "email")]
    email: String,
    /// Name to show
    #[schema(format = "name")]
    name: String,
    /// Name of the plan
    #[schema(format = "name")]
    plan: String,
    /// May administer this server
    admin: bool,
    /// Not disabled
    active: bool,
}

/// A new user.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeUser {
    #[serde(flatten)]
    made: User,
    /// A random password, where none was given. It is not shown again
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// A user to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Address to sign in with
    #[schema(format = "email")]
    email: String,
    /// Name to show; what stands before the @ if left out
    #[schema(format = "name")]
    name: Option<String>,
    /// Name of the plan; `free` if left out
    #[schema(format = "name")]
    plan: Option<String>,
    /// 15 to 128 characters, not one that is easy to guess; a random one is made if left out
    #[schema(format = "new-password")]
    password: Option<String>,
    /// For the command line beside the database alone
    #[serde(default)]
    admin: bool,
}

/// Changes of a user; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Name to show
    #[schema(format = "name")]
    name: Option<String>,
    /// Name of the plan
    #[schema(format = "name")]
    plan: Option<String>,
    /// Disabled, sessions, keys and tokens stop at once
    active: Option<bool>,
}

/// Which users.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// The one with this address
    #[param(format = "email")]
    email: Option<String>,
    /// On this plan
    plan: Option<String>,
}

impl std::fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CreateUser(REDACTED)")
    }
}

impl From<Record> for User {
    fn from(user: Record) -> Self {
        let Record { id, email, name, plan, admin, active } = user;
        Self { id, email, name, plan, admin, active }
    }
}

/// List users
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(UserFilter, Paging),
    responses((status = 200, body = Page<User>)), security(("bearer" = ["grantd:users:read"])))]
pub async fn list(
    State(app): State<Arc<App>>,
    Admin(..): Admin<UsersRead>,
    ListQuery { filter, paging }: ListQuery<UserFilter>,
) -> Result<Response, Problem> {
    if let Some(address) = &filter.email {
        let found = app.store.find_user_by_email(&email::normalize(address)?).await?;
        let items = found.map(|(user, _)| User::from(user)).into_iter().collect();
        return Ok(reply::json(&Page { items, next: None }));
    }
    let read = |after, limit| app.store.users_after(filter.plan.as_deref(), after, limit);
    Ok(reply::json(&page(&app, "users", &paging, read, User::from).await?))
}

/// Create a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = CreateUser,
    responses((status = 201, body = MadeUser)), security(("bearer" = ["grantd:users:write"])))]
pub async fn create(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<UsersWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateUser>,
) -> Result<Response, Problem> {
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    if sent.admin && caller.holder.is_some() {
        let message = "administrators are made on the server itself, by `grantd user create --admin`";
        return Err(Error::new(ErrorCode::Forbidden, message).into());
    }
    let email = email::normalize(&sent.email)?;
    let name = sent.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let shown = sent.password.is_none().then(|| random_base62(20));
    let password = SecretString::from(sent.password.or_else(|| shown.clone()).unwrap_or_default());
    let name = text::name("the name", &name)?;
    let whose = PasswordOwner { issuer: &app.config.issuer, email: &email, name: &name };
    let password = NewPassword::accept(&password, whose)?;
    let new = NewUser {
        name,
        password: Some(app.passwords.hash(password).await?),
        plan: sent.plan.unwrap_or_else(|| "free".to_owned()),
        admin: sent.admin,
        email,
    };
    let id = new_id("user");
    let made = User {
        id: id.clone(),
        email: new.email.clone(),
        name: new.name.clone(),
        plan: new.plan.clone(),
        admin: new.admin,
        active: true,
    };
    let response = JsonResponse::created(&MadeUser { made, password: shown })?;
    let done = guarded.store(&response)?.insert_user_as(caller.info.now, caller.origin(), id, new).await;
    guarded.end(response, done.map(drop).map_err(taken)).await
}

/// One user
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = User)), security(("bearer" = ["grantd:users:read"])))]
pub async fn get(State(app): State<Arc<App>>, Admin(..): Admin<UsersRead>, Id(id): Id) -> Result<Response, Problem> {
    let user = app.store.find_user(&id).await?.ok_or_else(|| no_such("user"))?;
    Ok(reply::json(&User::from(user)))
}

/// Change a user, disable it or enable it again
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path, format = "id")),
    request_body = ChangeUser, responses((status = 200, body = User)), security(("bearer" = ["grantd:users:write"])))]
pub async fn update(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<UsersWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeUser>,
) -> Result<Response, Problem> {
    if sent.active == Some(false) && is_self(&caller, &id) {
        return Err(Error::new(ErrorCode::Conflict, "you would lock yourself out").into());
    }
    let name = sent.name.map(|name| text::name("the name", &name)).transpose()?;
    let now = caller.info.now;
    if name.is_some() || sent.plan.is_some() {
        let done = app.store.update_user(now, caller.origin(), id.clone(), name, sent.plan).await;
        found(done, || no_such("user"))?;
    }
    if let Some(active) = sent.active {
        found(app.store.set_user_active(now, caller.origin(), id.clone(), active).await, || no_such("user"))?;
    }
    let user = app.store.find_user(&id).await?.ok_or_else(|| no_such("user"))?;
    Ok(reply::json(&User::from(user)))
}

fn is_self(caller: &Caller, id: &str) -> bool {
    caller.holder.as_ref().is_some_and(|holder| holder.user.id == id)
}

fn taken(error: store::Error) -> Problem {
    match error {
        store::Error::Conflict => Error::new(ErrorCode::Conflict, "a user with this address exists already").into(),
        error => error.into(),
    }
}
