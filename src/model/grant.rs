//! Owns the grant: one approval of one client by one user, from consent to the last refresh. Does not change it; see `store::grants`.

use data_encoding::BASE64URL_NOPAD;

use super::{
    clock::Timestamp,
    scope::Scopes,
    secret::{self, Digest},
};

/// Identifier of a grant: 128 random bits, carried inside its code and refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(pub [u8; 16]);

impl GrantId {
    /// A new identifier.
    #[must_use]
    pub fn random() -> Self {
        Self(secret::random_bytes())
    }

    /// As it is stored and as access tokens name it: base64url, 22 characters.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// What a grant carries from the authorization request.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its identifier.
    pub id: GrantId,
    /// Who approved.
    pub user_id: String,
    /// In which session: it must not have ended.
    pub session: Digest,
    /// Whom.
    pub client_id: String,
    /// What.
    pub scopes: Scopes,
    /// Audience URIs the tokens may have, from `resource`; empty means those of the scopes.
    pub resources: Vec<String>,
    /// Where the code went.
    pub redirect_uri: String,
    /// PKCE, unless the client opted out.
    pub code_challenge: Option<String>,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// When the code ends.
    pub code_expires_at: Timestamp,
    /// When everything ends, whatever is refreshed.
    pub expires_at: Timestamp,
}

/// What a redemption or rotation yields.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// Identifier of the grant, as text.
    pub grant_id: String,
    /// Who approved.
    pub user_id: String,
    /// What was approved.
    pub scopes: Scopes,
    /// Audience URIs from `resource`.
    pub resources: Vec<String>,
    /// Where the code went.
    pub redirect_uri: String,
    /// The challenge of the request.
    pub code_challenge: Option<String>,
    /// The generation now current: the one the refresh token must carry.
    pub generation: u32,
    /// When the grant ends.
    pub expires_at: Timestamp,
}

/// What a user allowed a client, and what the consent page said of it.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What was approved.
    pub scopes: Scopes,
    /// Audience URIs from `resource`.
    pub resources: Vec<String>,
    /// The client's name as it was shown.
    pub client_name: String,
    /// The hosts that the user was told to return to.
    pub hosts: Vec<String>,
}

impl Consent {
    /// Most hosts remembered of one client.
    const HOSTS_MAX: usize = 20;

    /// Whether whoever gave this consent saw and allowed all that `asked` says.
    #[must_use]
    pub fn covers(&self, asked: &Self) -> bool {
        let has_all = |known: &[String], asked: &[String]| asked.iter().all(|one| known.contains(one));
        self.client_name == asked.client_name
            && has_all(&self.hosts, &asked.hosts)
            && asked.scopes.is_subset(&self.scopes)
            && has_all(&self.resources, &asked.resources)
    }

    /// This consent with an older one of the same user to the same client. One that was given to another name is left out:
    /// it may have been given to something else.
    #[must_use]
    pub fn with(mut self, older: Self) -> Self {
        if older.client_name != self.client_name {
            return self;
        }
        self.scopes = self.scopes.union(&older.scopes);
        self.resources.extend(older.resources);
        self.resources.sort_unstable();
        self.resources.dedup();
        let known = older.hosts.into_iter().filter(|host| !self.hosts.contains(host)).collect::<Vec<_>>();
        self.hosts.extend(known);
        self.hosts.truncate(Self::HOSTS_MAX);
        self
    }
}

/// An answer on the consent page.
#[derive(Clone, Debug)]
pub struct ConsentAnswer {
    /// The request that waits for it.
    pub interaction: Digest,
    /// The user who answers.
    pub user_id: String,
    /// Which client asks.
    pub client_id: String,
    /// What was asked and shown.
    pub asked: Consent,
    /// Allow, or deny.
    pub allow: bool,
}

/// An approval as its user sees it under "connected apps".
#[derive(Clone, Debug)]
pub struct ConnectedApp {
    /// The client.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// What was approved.
    pub scopes: Scopes,
    /// First approval.
    pub allowed_at: Timestamp,
    /// Last code exchange or refresh.
    pub last_used_at: Option<Timestamp>,
    /// The hosts that the user was told to return to; none where nobody asked the user.
    pub hosts: Vec<String>,
    /// The user was not asked: the operator allowed it.
    pub by_operator: bool,
}
