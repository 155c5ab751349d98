//! Owns tests with an independent client library: the `oauth2` crate goes through every flow over a real port.
//!
//! The crate requires TLS where the standards do, which a proxy adds: the closure that sends its requests maps the
//! issuer's https address to the server's port, as the proxy would.

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl,
    Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse},
};
use serde_json::Value;

use crate::harness::{ISSUER, Installation, OAuthClient, Visitor, app::CALLBACK, process::Server};

const EMAIL: &str = "alice@example.com";

type Library = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type Refused = RequestTokenError<reqwest::Error, BasicErrorResponse>;

/// A server, and the library's client configured from its metadata alone.
struct Setting {
    server: Server,
    metadata: Value,
    here: Installation,
}

impl Setting {
    async fn new() -> Self {
        let mut here = Installation::new();
        here.set("GRANTD_ISSUER", ISSUER);
        here.api();
        here.user(EMAIL);
        let server = here.serve().await;
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["issuer"], ISSUER);
        Self { server, metadata, here }
    }

    fn library(&self, client: &OAuthClient) -> Library {
        let url = |name: &str| self.metadata[name].as_str().expect("an endpoint").to_owned();
        let library = BasicClient::new(ClientId::new(client.id.clone()))
            .set_auth_uri(AuthUrl::new(url("authorization_endpoint")).expect("a URL"))
            .set_token_uri(TokenUrl::new(url("token_endpoint")).expect("a URL"))
            .set_introspection_url(IntrospectionUrl::new(url("introspection_endpoint")).expect("a URL"))
            .set_revocation_url(RevocationUrl::new(url("revocation_endpoint")).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).expect("a URL"));
        match &client.secret {
            Some(secret) => library.set_client_secret(ClientSecret::new(secret.clone())),
            None => library,
        }
    }

    /// Sends a request of the library.
    fn send(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'static {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().replace(ISSUER, &self.server.base);
        let sent = self.server.http.request(parts.method, url).headers(parts.headers).body(body).send();
        async move {
            let response = sent.await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
            (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
            Ok(answer)
        }
    }

    /// The tokens that the user grants this client.
    async fn tokens(&self, library: &Library) -> BasicTokenResponse {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = library
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("read".to_owned()))
            .add_scope(Scope::new("write".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let answer = Visitor::new(&self.server, ISSUER).allow(url.as_str(), EMAIL).await;
        assert!(answer.starts_with(CALLBACK), "{answer}");
        let answer = url::Url::parse(&answer).expect("a URL");
        let param = |name: &str| answer.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
        assert_eq!((param("state"), param("iss")), (Some(state.into_secret()), Some(ISSUER.to_owned())));
        library
            .exchange_code(AuthorizationCode::new(param("code").expect("a code")))
            .set_pkce_verifier(verifier)
            .request_async(&|request| self.send(request))
            .await
            .expect("tokens")
    }

    async fn refresh(&self, library: &Library, token: &RefreshToken) -> Result<BasicTokenResponse, Refused> {
        library.exchange_refresh_token(token).request_async(&|request| self.send(request)).await
    }
}

/// Asserts RFC 6749 §5.2 as the library parses it.
#[track_caller]
fn assert_refused(refused: Result<BasicTokenResponse, Refused>, code: &BasicErrorResponseType) {
    match refused {
        Err(RequestTokenError::ServerResponse(error)) => assert_eq!(error.error(), code, "{error}"),
        other => panic!("{other:?}"),
    }
}

/// Code with PKCE, refresh, and revocation.
async fn walk(setting: &Setting, library: &Library) -> BasicTokenResponse {
    let first = setting.tokens(library).await;
    assert_eq!(first.scopes().map(Vec::len), Some(2));
    assert!(first.expires_in().is_some_and(|span| span.as_secs() > 0));
    let one = first.refresh_token().expect("a refresh token");
    let second = setting.refresh(library, one).await.expect("tokens");
    let two = second.refresh_token().expect("a refresh token");
    assert_ne!(one.secret(), two.secret());
    library
        .revoke_token(StandardRevocableToken::RefreshToken(two.clone()))
        .expect("an https endpoint")
        .request_async(&|request| setting.send(request))
        .await
        .expect("revoked");
    assert_refused(setting.refresh(library, two).await, &BasicErrorResponseType::InvalidGrant);
    assert_refused(setting.refresh(library, one).await, &BasicErrorResponseType::InvalidGrant);
    second
}

#[tokio::test]
async fn confidential_client_completes_every_flow() {
    let setting = Setting::new().await;
    let grants = ["--grant-type", "authorization_code", "--grant-type", "refresh_token"];
    let grants = [&["--redirect-uri", CALLBACK][..], &grants, &["--grant-type", "client_credentials"]].concat();
    let library = setting.library(&setting.here.client(&grants));
    let ended = walk(&setting, &library).await;
    let is_active = async |token: &oauth2::AccessToken| {
        let asked = library.introspect(token).request_async(&|request| setting.send(request)).await;
        asked.expect("an answer")
    };
    assert!(!is_active(ended.access_token()).await.active());
    let own = library
        .exchange_client_credentials()
        .add_scope(Scope::new("read".to_owned()))
        .request_async(&|request| setting.send(request))
        .await
        .expect("a token");
    assert!(own.refresh_token().is_none());
    let answer = is_active(own.access_token()).await;
    assert!(answer.active() && answer.client_id().is_some_and(|id| id == library.client_id()));
    assert_eq!(answer.scopes().map(|scopes| scopes[0].as_str()), Some("read"));
    library
        .revoke_token(StandardRevocableToken::AccessToken(own.access_token().clone()))
        .expect("an https endpoint")
        .request_async(&|request| setting.send(request))
        .await
        .expect("revoked");
    assert!(!is_active(own.access_token()).await.active());
}

#[tokio::test]
async fn public_client_completes_its_flows() {
    let setting = Setting::new().await;
    let client = setting.here.client(&["--redirect-uri", CALLBACK, "--type", "public"]);
    let library = setting.library(&client);
    walk(&setting, &library).await;
    let own = library.exchange_client_credentials().request_async(&|request| setting.send(request)).await;
    assert_refused(own, &BasicErrorResponseType::UnauthorizedClient);
    let wrong = OAuthClient { secret: Some("guess".to_owned()), ..client };
    let wrong = setting.library(&wrong);
    let refused = wrong.exchange_client_credentials().request_async(&|request| setting.send(request)).await;
    assert_refused(refused, &BasicErrorResponseType::InvalidClient);
}
