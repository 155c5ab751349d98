//! Owns the pages of API keys: the list, one key, the form for a new key and the page that shows it once. The rules for
//! keys are in `engine`.

pub mod change;
pub mod created;
pub mod detail;
pub mod form;
pub mod list;
pub mod row;
