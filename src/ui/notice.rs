//! Owns the page that stands for every error and other full-page messages.

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
    /// Lets the owner or an admin find the private cause; empty when there is nothing to look up.
    pub request_id: String,
    /// Where to go from here: label and URL.
    pub link: Option<(String, String)>,
}
