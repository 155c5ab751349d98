//! Owns the notice page, for errors and other full-page messages.

use askama::Template;

use super::parts::Shell;

/// Errors and other full-page messages.
#[derive(Debug, Template)]
#[template(path = "ui/notice.html")]
pub struct NoticePage {
    pub shell: Shell,
    pub status: u16,
    pub heading: String,
    pub message: String,
    /// Lets the owner or an administrator find the private cause; empty if there is nothing to look up.
    pub request_id: String,
    /// A next step: label and URL.
    pub link: Option<(String, String)>,
}
