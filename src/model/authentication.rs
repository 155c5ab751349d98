//! Owns who was authenticated, how and when. The steps that lead there are in `engine::authn`.

use super::{clock::Timestamp, user::User};

/// A method of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
}

/// A user who signed in.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The user.
    pub user: User,
    /// How.
    pub methods: Vec<Method>,
    /// When.
    pub at: Timestamp,
}

/// What a sign-in was checked against. A session is started only if it still holds.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The PHC string of the password.
    Password(String),
}

impl Proof {
    /// The method that it belongs to.
    pub fn method(&self) -> Method {
        match self {
            Self::Password(_) => Method::Password,
        }
    }
}

impl Method {
    /// Its name in `amr` (RFC 8176 §2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }

    /// The method of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Password].into_iter().find(|method| method.as_str() == name)
    }
}
