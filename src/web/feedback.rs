//! Owns what a page with several forms says after one of them was sent.

use axum::http::StatusCode;

use super::reauth;
use crate::{
    app::App,
    http::signed_in::SignedIn,
    ui::{Confirmation, Flash},
};

/// What a page shows after a form was sent: `F` is the form as typed, with its errors, `P` the parts of the page that
/// may ask for the password.
pub(super) struct Feedback<F, P> {
    pub flash: Option<Flash>,
    /// The user's input, where it differs from the stored values.
    pub typed: Option<F>,
    pub password_error: Option<(P, String)>,
    pub status: StatusCode,
}

impl<F, P: PartialEq> Feedback<F, P> {
    /// Nothing was wrong.
    pub(super) fn good(flash: Option<Flash>) -> Self {
        Self { flash, typed: None, password_error: None, status: StatusCode::OK }
    }

    /// The change was not made, for a reason that belongs to no field.
    pub(super) fn refused(flash: Flash, status: StatusCode) -> Self {
        Self { status, ..Self::good(Some(flash)) }
    }

    /// Some fields are wrong.
    pub(super) fn wrong(typed: F) -> Self {
        Self { typed: Some(typed), status: StatusCode::BAD_REQUEST, ..Self::good(None) }
    }

    /// The password is missing or wrong, in this part of the page.
    pub(super) fn password(part: P, why: String) -> Self {
        Self { password_error: Some((part, why)), status: StatusCode::BAD_REQUEST, ..Self::good(None) }
    }

    /// The parts of the page that may ask for the password. They share one id: only one of them is sent.
    pub(super) fn confirmations<const N: usize>(
        &self,
        app: &App,
        signed_in: &SignedIn,
        parts: [P; N],
    ) -> [Confirmation; N] {
        let blank = reauth::confirmation(app, signed_in);
        parts.map(|part| {
            let error = self.password_error.as_ref().filter(|(of, _)| *of == part);
            Confirmation { password_error: error.map(|(_, why)| why.clone()), ..blank.clone() }
        })
    }
}
