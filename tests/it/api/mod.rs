//! Owns the management API's tests: who may do what, idempotency, and the form of errors.

mod admin;
mod described;
mod generated;
mod keys;
mod limits;
mod lists;
mod own;
mod profiles;
mod projects;
mod requests;
mod rule_order;
mod rules;
mod told;
mod watched;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use grantd::{model::audit::Origin, store::NewUser};
use serde_json::Value;

use crate::harness::{Reply, TestApp};

/// Every scope of the management API, and both of the example API.
const EVERYTHING: &str = "grantd:keys:read grantd:keys:write grantd:projects:read grantd:projects:write grantd:clients:read \
    grantd:clients:write grantd:users:read grantd:users:write grantd:apis:read grantd:apis:write grantd:plans:read \
    grantd:plans:write grantd:usage:read grantd:audit:read read write";

/// A user with a key.
struct Caller<'a> {
    app: &'a TestApp,
    user: String,
    key_id: String,
    key: String,
}

impl<'a> Caller<'a> {
    /// A new user with a key of these scopes.
    async fn new(app: &'a TestApp, name: &str, scopes: &str) -> Self {
        let user = app.user(&format!("{name}@example.com")).await;
        let (key_id, key) = app.key(&user, scopes).await;
        Self { app, user, key_id, key }
    }

    /// An administrator with a key of these scopes.
    async fn admin(app: &'a TestApp, scopes: &str) -> Self {
        let new = NewUser {
            email: "admin@example.com".to_owned(),
            name: "Admin".to_owned(),
            password: None,
            plan: "pro".to_owned(),
            admin: true,
        };
        let user = app.app.store.insert_user(app.now(), Origin::default(), new).await.expect("a user");
        let (key_id, key) = app.key(&user, scopes).await;
        Self { app, user, key_id, key }
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> Reply {
        let request = Request::builder().method(method).uri(format!("/api/v1{target}"));
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = match body {
            Some(text) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(text.to_owned())),
            None => request.body(Body::empty()),
        };
        self.app.send(request.expect("a request")).await
    }

    async fn get(&self, target: &str) -> Reply {
        self.send(Method::GET, target, &[], None).await
    }

    async fn post(&self, target: &str, body: Value) -> Reply {
        self.send(Method::POST, target, &[], Some(&body.to_string())).await
    }

    async fn once(&self, name: &str, target: &str, body: Value) -> Reply {
        self.send(Method::POST, target, &[("idempotency-key", name)], Some(&body.to_string())).await
    }

    async fn put(&self, target: &str, body: Value) -> Reply {
        self.send(Method::PUT, target, &[], Some(&body.to_string())).await
    }

    async fn delete(&self, target: &str) -> Reply {
        self.send(Method::DELETE, target, &[], None).await
    }

    async fn patch(&self, target: &str, body: Value) -> Reply {
        self.send(Method::PATCH, target, &[], Some(&body.to_string())).await
    }
}

impl Reply {
    /// Asserts an RFC 9457 error of this status and type.
    #[track_caller]
    fn problem(&self, status: u16, kind: &str) -> Value {
        self.status(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        assert_eq!(self.header("cache-control"), "no-store");
        let body = self.json();
        assert_eq!(body["type"], format!("{}/api/docs#{kind}", crate::harness::ISSUER), "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        for member in ["title", "detail"] {
            assert!(body[member].as_str().is_some_and(|words| !words.is_empty()), "{body}");
        }
        body
    }

    /// The ids of a page's items.
    #[track_caller]
    fn ids(&self) -> Vec<String> {
        self.status(200);
        let items = self.json()["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    }
}
