//! Owns client authentication in HTTP requests (RFC 6749 §2.3). Does not compare secrets; see `engine::clients`.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;

use super::extract::RequestInfo;
use crate::{
    app::App,
    engine::{clients::Standing, limit::Throttle},
    model::{
        client::{AuthMethod, Client},
        clock::Timestamp,
        error::{Error, ErrorCode},
        params::{Params, decode},
    },
};

/// Authenticates the client of a request: by Basic, by the body, or a public client by its id. Failures are counted.
///
/// # Errors
/// `invalid_client`, `invalid_request` when two methods are mixed, `temporarily_unavailable`.
pub async fn authenticate(
    app: &App,
    info: &RequestInfo,
    headers: &HeaderMap,
    params: &Params<'_>,
) -> Result<Arc<Client>, Error> {
    authenticate_in(app, info, headers, params, Standing::Active).await
}

/// As [`authenticate`], but also accepts a disabled client, which may still revoke its tokens.
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_to_revoke(
    app: &App,
    info: &RequestInfo,
    headers: &HeaderMap,
    params: &Params<'_>,
) -> Result<Arc<Client>, Error> {
    authenticate_in(app, info, headers, params, Standing::Any).await
}

async fn authenticate_in(
    app: &App,
    info: &RequestInfo,
    headers: &HeaderMap,
    params: &Params<'_>,
    standing: Standing,
) -> Result<Arc<Client>, Error> {
    let proven = prove(app, info.now, headers, params, standing).await;
    if proven.as_ref().is_err_and(|error| error.code == ErrorCode::InvalidClient) {
        app.event_counts.count(
            "client.authenticate",
            None,
            &info.origin("anonymous"),
            Some("wrong client credentials"),
        );
        return Err(failed(app, info, headers, params).await);
    }
    proven
}

/// Counts a failure of this sender, and then for this client from this sender. Wrong guesses are throttled, but the
/// right secret always passes, so an attacker cannot lock the real client out. An unregistered id is not counted on its
/// own: it has no secret to guess, and ids can be invented without end.
async fn failed(app: &App, info: &RequestInfo, headers: &HeaderMap, params: &Params<'_>) -> Error {
    let sender = info.network();
    if let Some(wait) = app.limiter.hit(info.now, Throttle::CLIENTS, &sender).await {
        return Error::too_many(wait, "too many wrong client credentials from this address; try again later");
    }
    let named = basic(headers).ok().flatten().map(|(id, _)| id);
    let named = named.or_else(|| params.get("client_id").map(ToOwned::to_owned)).unwrap_or_default();
    if app.clients.is_known(&named)
        && let Some(wait) = app.limiter.hit(info.now, Throttle::CLIENT, &format!("{named}@{sender}")).await
    {
        return Error::too_many(wait, "too many wrong credentials for this client; try again later");
    }
    Error::invalid_client()
}

async fn prove(
    app: &App,
    now: Timestamp,
    headers: &HeaderMap,
    params: &Params<'_>,
    standing: Standing,
) -> Result<Arc<Client>, Error> {
    let by = async |id: &str, secret: &str, method| app.clients.authenticate(now, id, secret, method, standing).await;
    let in_body = (params.get("client_id"), params.get("client_secret"));
    let Some((id, secret)) = basic(headers)? else {
        return match in_body {
            (Some(id), Some(secret)) => by(id, secret, AuthMethod::ClientSecretPost).await,
            (Some(id), None) => app.clients.identify_public(id, standing).await,
            _ => Err(Error::invalid_client()),
        };
    };
    if in_body.1.is_some() || in_body.0.is_some_and(|named| named != id) {
        return Err(Error::invalid_request("use only one client authentication method"));
    }
    by(&id, &secret, AuthMethod::ClientSecretBasic).await
}

/// Client id and secret of a Basic header. Both are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid_client());
    }
    decode_basic(value.as_bytes()).map(Some).ok_or_else(Error::invalid_client)
}

fn decode_basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = BASE64.decode(encoded).ok()?;
    let colon = decoded.iter().position(|&b| b == b':')?;
    let (id, secret) = (decode(&decoded[..colon]).ok()?, decode(&decoded[colon + 1..]).ok()?);
    (!id.is_empty() && !secret.is_empty()).then(|| (id.into_owned(), secret.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_basic_credentials_are_refused() {
        // THREATS: CA2
        let encode = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
        for bad in [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Bearer abc",
            "Basic YTpi YTpi",
            "Basic YTpi,",
            "Basic YTpi=",
            "Basic YTo",
            "",
        ] {
            assert_eq!(decode_basic(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["nocolon", ":secret", "id:", "id:%zz", "id:%ff"] {
            assert_eq!(decode_basic(encode(bad).as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn basic_credentials_encoded_per_rfc_6749_are_decoded(id in "\\PC{1,20}", secret in "\\PC{1,20}") {
            let form = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = format!("Basic {}", BASE64.encode(format!("{}:{}", form(&id), form(&secret)).as_bytes()));
            prop_assert_eq!(decode_basic(header.as_bytes()), Some((id, secret)));
        }

        #[test]
        fn arbitrary_headers_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_basic(&bytes);
            let mut value = b"Basic ".to_vec();
            value.extend(BASE64.encode(&bytes).into_bytes());
            let _ = decode_basic(&value);
        }
    }
}
