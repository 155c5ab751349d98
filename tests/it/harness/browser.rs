//! Owns a browser: cookies, forms, redirects within the server. It has no scripts or rendering; `chromium` does.

use std::{collections::BTreeMap, sync::Mutex};

use axum::{
    body::Body,
    http::{Request, header},
};

use super::{
    Reply, TestApp,
    app::{ISSUER, PASSWORD, encode},
};

/// Most redirects followed.
const HOPS_MAX: usize = 10;

/// A browser with its cookies.
pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookies: Mutex<BTreeMap<String, String>>,
    /// Its address.
    pub address: String,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: Mutex::default(), address: "192.0.2.7".to_owned() }
    }

    pub async fn get(&self, target: &str) -> Reply {
        let request = self.with_cookies(Request::get(strip(target))).header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    /// POST of exactly this form, as one of grantd's pages would send it.
    pub async fn post(&self, target: &str, form: &[(&str, &str)]) -> Reply {
        let request = self
            .with_cookies(Request::post(strip(target)))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, ISSUER);
        self.send(request.body(encode(form)).expect("a request")).await
    }

    /// Opens `page`, and sends its form with its own CSRF token and these fields.
    pub async fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Reply {
        let shown = self.get(page).await;
        shown.status(200);
        let csrf = shown.input("csrf");
        let mut form = vec![("csrf", csrf.as_str())];
        form.extend_from_slice(fields);
        self.post(action, &form).await
    }

    /// Follows redirects within the server until a page, or a redirect to another site.
    pub async fn follow(&self, mut reply: Reply) -> Reply {
        for _ in 0..HOPS_MAX {
            if reply.status.as_u16() != 303
                || !(reply.header("location").starts_with('/') || reply.header("location").starts_with(ISSUER))
            {
                return reply;
            }
            reply = self.get(&reply.location()).await;
        }
        panic!("more than {HOPS_MAX} redirects, at {:?}", reply.headers);
    }

    /// Signs in on the sign-in page.
    pub async fn log_in(&self, email: &str) -> Reply {
        let reply = self.submit("/login", "/login", &[("email", email), ("password", PASSWORD)]).await;
        reply.status(303);
        reply
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().expect("cookies").get(name).cloned()
    }

    /// Sends a request and keeps the cookies it sets.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let reply = self.app.send_from(&self.address, request).await;
        let mut cookies = self.cookies.lock().expect("cookies");
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().expect("text");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            if value.is_empty() || text.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        drop(cookies);
        reply
    }

    /// Adds this browser's cookies to a request.
    pub fn with_cookies(&self, request: axum::http::request::Builder) -> axum::http::request::Builder {
        let cookies = self.cookies.lock().expect("cookies");
        let text: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if text.is_empty() { request } else { request.header(header::COOKIE, text.join("; ")) }
    }
}

fn strip(target: &str) -> &str {
    target.strip_prefix(ISSUER).unwrap_or(target)
}
