//! Owns reading the required scope from the signature of a management handler, for the OpenAPI document. `auth` checks
//! it.

use std::sync::Arc;

use axum::extract::State;

use super::auth::{Admin, Authorized};
use crate::{
    app::App,
    model::management_api::{Needed, Scope},
};

/// An argument of a handler that admits only some callers.
pub trait Gate {
    /// What it requires.
    type Scope: Needed;
}

impl<S: Needed> Gate for Authorized<S> {
    type Scope = S;
}

impl<S: Needed> Gate for Admin<S> {
    type Scope = S;
}

/// A handler whose first argument checks the caller.
pub trait Gated<Arguments> {
    /// The scope it requires.
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

/// The scope that this handler requires.
pub fn scope<H: Gated<Arguments>, Arguments>(_: &H) -> Option<Scope> {
    Some(H::SCOPE)
}
