//! Owns the grant: a user's approval of a client, from consent to last refresh. Changes are in `store::grants`.

use data_encoding::BASE64URL_NOPAD;

use super::{
    clock::Timestamp,
    scope::Scopes,
    secret::{self, Digest},
};

/// Bytes of an identifier that are its time.
const TIME_BYTES: usize = 6;

/// Identifier of a grant, carried inside its code and refresh tokens: 48 bits of time, then 80 random bits. New grants are
/// neighbours in every index, so a commit writes few pages. It needs no secrecy: code and refresh tokens carry a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(pub [u8; 16]);

impl GrantId {
    /// A new identifier.
    pub fn new(now: Timestamp) -> Self {
        let mut bytes: [u8; 16] = secret::random_bytes();
        bytes[..TIME_BYTES].copy_from_slice(&now.0.to_be_bytes()[2..]);
        Self(bytes)
    }

    /// The form in which it is stored and in access tokens: base64url, 22 characters.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// The contents of a grant, from the authorization request.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its identifier.
    pub id: GrantId,
    /// The user who approved it.
    pub user_id: String,
    /// The session in which it was approved. It must not have ended.
    pub session: Digest,
    /// The client that was approved.
    pub client_id: String,
    /// The approved scopes.
    pub scopes: Scopes,
    /// Audience URIs that its tokens may have, from `resource`; empty means those of the scopes.
    pub resources: Vec<String>,
    /// The redirect URI that the code was sent to.
    pub redirect_uri: String,
    /// PKCE, unless the client opted out.
    pub code_challenge: Option<String>,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// When the code expires.
    pub code_expires_at: Timestamp,
    /// When the grant ends, however often it is refreshed.
    pub expires_at: Timestamp,
}

/// The result of a redemption or rotation.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// Identifier of the grant, as text.
    pub grant_id: String,
    /// The user who approved it.
    pub user_id: String,
    /// The approved scopes.
    pub scopes: Scopes,
    /// Audience URIs from `resource`.
    pub resources: Vec<String>,
    /// The redirect URI that the code was sent to.
    pub redirect_uri: String,
    /// The code challenge of the request.
    pub code_challenge: Option<String>,
    /// The current generation, which the refresh token must have.
    pub generation: u32,
    /// When the grant ends.
    pub expires_at: Timestamp,
}

/// The access that a user allowed a client, and the details shown on the consent page.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The approved scopes.
    pub scopes: Scopes,
    /// Audience URIs from `resource`.
    pub resources: Vec<String>,
    /// The client's name, as shown.
    pub client_name: String,
    /// The hosts shown as the targets of the redirect.
    pub hosts: Vec<String>,
}

impl Consent {
    /// Most hosts remembered for one client.
    const HOSTS_MAX: usize = 20;

    /// Whether this consent includes everything in `asked`, as shown and as allowed.
    pub fn covers(&self, asked: &Self) -> bool {
        let has_all = |known: &[String], asked: &[String]| asked.iter().all(|one| known.contains(one));
        self.client_name == asked.client_name
            && has_all(&self.hosts, &asked.hosts)
            && asked.scopes.is_subset(&self.scopes)
            && has_all(&self.resources, &asked.resources)
    }

    /// Merges an older consent of the same user to the same client. It is ignored if it was given under another name,
    /// since it may have been meant for another app.
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
    /// The interaction that it answers.
    pub interaction: Digest,
    /// The user who answers.
    pub user_id: String,
    /// The client that requested consent.
    pub client_id: String,
    /// The requested access, as shown.
    pub asked: Consent,
    /// Whether the user allowed it.
    pub allow: bool,
}

/// An approval as shown to its user under "connected apps".
#[derive(Clone, Debug)]
pub struct ConnectedApp {
    /// The client.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// The approved scopes.
    pub scopes: Scopes,
    /// When it was first approved.
    pub allowed_at: Timestamp,
    /// When a code was last exchanged or a token refreshed.
    pub last_used_at: Option<Timestamp>,
    /// The hosts shown to the user as targets of the redirect; empty if the user was not asked.
    pub hosts: Vec<String>,
    /// Whether the operator allowed it without asking the user.
    pub by_operator: bool,
}
