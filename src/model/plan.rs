//! Owns plans: how much somebody may ask for. Does not count; see `engine::limit`.

use serde::Serialize;

/// A tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Such as `free`.
    pub name: String,
    /// Requests an hour, for one subject at one API; nothing means unlimited.
    pub per_hour: Option<u32>,
    /// Most requests within one second.
    pub burst: u32,
}

/// Every plan.
#[derive(Clone, Debug, Default)]
pub struct Plans(pub Vec<Plan>);

impl Plans {
    /// The plan called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Plan> {
        self.0.iter().find(|plan| plan.name == name)
    }
}
