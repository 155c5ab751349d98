//! Owns `/api/v1/users`, for administrators. A password is set when a user is created and not changed here. Administrators
//! are created on the command line next to the database.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{Admin, UsersRead, UsersWrite, no_such},
    idempotency::Idempotent,
    json::JsonBody,
    page::{Page, Paging, cut, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    app::App,
    engine::users::{self, CreatedUser, UserUpdate},
    http::{problem::Problem, reply},
    model::{email, user::User as Record},
};

/// A person who signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// `user_…`
    #[schema(format = "user-id")]
    id: String,
    /// Email address to sign in with
    #[schema(format = "email")]
    email: String,
    /// Display name
    #[schema(format = "name")]
    name: String,
    /// Plan
    #[schema(format = "name")]
    plan: String,
    /// Whether the user is an administrator
    admin: bool,
    /// False if disabled
    active: bool,
}

/// A new user.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeUser {
    #[serde(flatten)]
    made: User,
    /// The random password, if none was given. It is not shown again
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// A user to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Email address to sign in with
    #[schema(format = "email")]
    email: String,
    /// Display name; by default the part of the address before the @
    #[schema(format = "name")]
    name: Option<String>,
    /// Plan; `free` by default
    #[schema(format = "name")]
    plan: Option<String>,
    /// 15 to 128 characters, not easy to guess; by default a random one is created
    #[schema(format = "new-password")]
    password: Option<String>,
    /// Only for the command line next to the database
    #[serde(default)]
    admin: bool,
}

/// Changes to a user; members left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Display name
    #[schema(format = "name")]
    name: Option<String>,
    /// Plan
    #[schema(format = "name")]
    plan: Option<String>,
    /// False disables the user: sessions, keys and tokens stop working immediately
    active: Option<bool>,
}

/// Filters of the list of users.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// The user with this email address
    #[param(format = "email")]
    email: Option<String>,
    /// Users on this plan
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
    responses((status = 200, body = Page<User>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Admin(..): Admin<UsersRead>,
    ListQuery { filter, paging }: ListQuery<UserFilter>,
) -> Result<Response, Problem> {
    if let Some(address) = &filter.email {
        let found = app.store.find_user_by_email(&email::normalize(address)?).await?;
        let items = found.map(|(user, _)| User::from(user)).into_iter().collect();
        return Ok(reply::json(&cut(&app, "users", &paging, items, |user: &User| user.id.clone())?));
    }
    let read = |after, limit| app.store.users_after(filter.plan.as_deref(), after, limit);
    Ok(reply::json(&page(&app, "users", &paging, read, User::from).await?))
}

/// Create a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = CreateUser,
    responses((status = 201, body = MadeUser)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<UsersWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateUser>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let CreateUser { email, name, plan, password, admin } = sent;
    let new = users::CreateUser { email, name, plan, password: password.map(SecretString::from), admin };
    let along = |made: &CreatedUser| {
        let password = made.password.as_ref().map(|password| password.expose_secret().to_owned());
        once.created(&MadeUser { made: made.user.clone().into(), password })
    };
    let work = async { Ok(users::create(app.engine(), caller.act(), &caller.bounds(), new, along).await?) };
    once.run(work).await
}

/// One user
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = User)))]
pub async fn get(State(app): State<Arc<App>>, Admin(..): Admin<UsersRead>, Id(id): Id) -> Result<Response, Problem> {
    let user = app.store.find_user(&id).await?.ok_or_else(|| no_such("user"))?;
    Ok(reply::json(&User::from(user)))
}

/// Change a user, disable or re-enable it
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path, format = "id")),
    request_body = ChangeUser, responses((status = 200, body = User)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<UsersWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeUser>,
) -> Result<Response, Problem> {
    let to = UserUpdate { name: sent.name, plan: sent.plan, active: sent.active };
    let changed = users::update(app.engine(), caller.act(), &caller.bounds(), &id, to).await?;
    Ok(reply::json(&User::from(changed.ok_or_else(|| no_such("user"))?)))
}
