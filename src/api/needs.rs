//! Owns reading the scope that a handler of the management API needs from its signature, for the OpenAPI document. What checks
//! it is `auth`.

use std::sync::Arc;

use axum::extract::State;

use super::auth::{Admin, Authorized};
use crate::{
    app::App,
    model::management_api::{Needed, Scope},
};

/// An argument that lets only some callers in.
pub trait Gate {
    /// What they need.
    type Scope: Needed;
}

impl<S: Needed> Gate for Authorized<S> {
    type Scope = S;
}

impl<S: Needed> Gate for Admin<S> {
    type Scope = S;
}

/// A handler with a gate, and the arguments behind it.
pub trait Gated<Arguments> {
    /// The scope that it needs.
    const SCOPE: Scope;
}

macro_rules! gated {
    ($($argument:ident)*) => {
        impl<F, R, G, $($argument,)*> Gated<(G, $($argument,)*)> for F
        where
            F: Fn(State<Arc<App>>, G, $($argument,)*) -> R,
            G: Gate,
        {
            const SCOPE: Scope = G::Scope::SCOPE;
        }
    };
}

gated!();
gated!(A);
gated!(A B);

/// The scope that this handler needs.
pub fn scope<H: Gated<Arguments>, Arguments>(_: &H) -> Option<Scope> {
    Some(H::SCOPE)
}
