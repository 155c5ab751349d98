//! Owns the input of a gateway decision: the original request as far as the proxy forwards it, and what it needs. Where
//! its credential stands is in the API's profile.

use axum::http::HeaderMap;

use super::{ForwardAuth, nginx};
use crate::{
    http::{credential::CredentialCheck, decision::Ruling, extract::from_trusted_proxy},
    model::{denial::DeniedRequest, reason::Reason},
};

/// The headers in which proxies forward the original method and URI, by family. A proxy that sets only one family would
/// pass on the caller's headers of the other.
const FAMILIES: [[&str; 2]; 2] = [["x-forwarded-method", "x-forwarded-uri"], ["x-original-method", "x-original-uri"]];

/// Headers with which frameworks let a request override its method.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The original request, as far as the proxy forwards it.
struct Original<'r> {
    method: Option<&'r str>,
    target: Option<&'r str>,
}

impl<'q> ForwardAuth<'q> {
    /// The rule for this request.
    pub(super) fn ruling(&self, check: &CredentialCheck<'_>) -> Ruling<'q> {
        let original = self.original().map_err(Reason::Malformed)?;
        let Some(target) = original.target else {
            let why = "The proxy does not forward the original URI.";
            return if self.api.rules.is_empty() { Ok(None) } else { Err(Reason::Malformed(why)) };
        };
        let ruling = self.decision().ruling(check, original.method, target);
        let names_other = |name: &&str| {
            self.parts.headers.get_all(*name).iter().any(|other| original.method.is_none_or(|method| other != method))
        };
        match ruling {
            Err(Reason::Malformed(why)) => Err(Reason::Malformed(why)),
            _ if OVERRIDES.iter().any(names_other) && self.api.rules.names_methods() => {
                Err(Reason::Malformed("The request names two methods."))
            }
            ruling => ruling,
        }
    }

    /// The query of the request, if its API accepts credentials there.
    pub(super) fn query(&self) -> &'q str {
        if !self.api.profile.places.reads_query() {
            return "";
        }
        let target = self.original().ok().and_then(|original| original.target).unwrap_or_default();
        target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The request as shown to the owner of a refused credential; empty if the proxy does not forward it.
    pub(super) fn asked(&self) -> DeniedRequest {
        match self.original() {
            Ok(Original { method: Some(method), target: Some(target) }) => DeniedRequest::of(method, target),
            _ => DeniedRequest::default(),
        }
    }

    /// The original method and target: appended to our own path, or in headers, which count only from a trusted proxy.
    /// If both are present, they must agree.
    fn original(&self) -> Result<Original<'q>, &'static str> {
        let parts = self.parts;
        if let Some(target) = self.appended {
            // From any sender: with one slash too many in the proxy's verify URL, every request would be judged as `GET
            // /`, and only these headers reveal it.
            for [method, uri] in FAMILIES {
                let agrees = |name, asked| one(&parts.headers, name).map(|said| said.is_none_or(|said| said == asked));
                if !agrees(method, parts.method.as_str())? || !agrees(uri, target)? {
                    return Err("The proxy forwards one request in headers and another in the path.");
                }
            }
            // nginx always uses GET for its subrequest, so its headers are needed to identify the original request.
            if nginx::asks(&parts.headers) && !FAMILIES.iter().flatten().any(|name| parts.headers.contains_key(*name)) {
                return Err("nginx must forward X-Original-Method and X-Original-URI.");
            }
            return Ok(Original { method: Some(parts.method.as_str()), target: Some(target) });
        }
        if !from_trusted_proxy(&parts.extensions, &self.app.config.trusted_proxies) {
            return Ok(Original { method: None, target: None });
        }
        let mut families =
            FAMILIES.into_iter().filter(|family| family.iter().any(|name| parts.headers.contains_key(*name)));
        let Some([method, target]) = families.next() else { return Ok(Original { method: None, target: None }) };
        if families.next().is_some() {
            return Err("The proxy forwards both X-Forwarded-* and X-Original-*. It must remove one of them.");
        }
        Ok(Original { method: one(&parts.headers, method)?, target: one(&parts.headers, target)? })
    }
}

/// The only value of a header.
fn one<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err("The proxy forwarded two different requests.");
    }
    first.to_str().map(Some).map_err(|_| "A forwarded header is not text.")
}
