//! Owns the reference page of the management API: its operations, what they take and answer, and the kinds of errors. Plain
//! data; it is read out of the OpenAPI document by `web::reference`.

use askama::Template;

use super::parts::Shell;

/// `GET /api/docs`.
#[derive(Debug, Template)]
#[template(path = "reference.html")]
pub struct ReferencePage {
    pub shell: Shell,
    pub issuer: String,
    pub about: String,
    pub groups: Vec<OperationGroup>,
    pub problems: Vec<ProblemKind>,
}

/// The operations of one tag.
#[derive(Debug, Clone)]
pub struct OperationGroup {
    pub name: String,
    pub about: String,
    pub operations: Vec<Operation>,
}

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub about: Words,
    /// The scope it needs; empty where none is named.
    pub scope: String,
    pub parameters: Vec<Field>,
    pub body: Vec<Field>,
    /// Status of success and what it says.
    pub status: String,
    pub answer: Vec<Field>,
    /// The answer is a page of such items.
    pub is_page: bool,
}

/// A parameter, or a member of an object.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: String,
    pub is_required: bool,
    pub about: Words,
}

/// A kind of error.
#[derive(Debug, Clone)]
pub struct ProblemKind {
    pub name: String,
    pub title: String,
    pub status: u16,
}

/// Words of a doc comment: those between backticks (true) are code.
#[derive(Debug, Clone, Default)]
pub struct Words(pub String);

impl Words {
    #[must_use]
    pub fn parts(&self) -> Vec<(bool, &str)> {
        self.0.split('`').enumerate().map(|(at, part)| (at % 2 == 1, part)).collect()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
