//! Owns plans: the rate limits of users. Does not count requests; see `engine::limit`.

use serde::Serialize;

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Such as `free`.
    pub name: String,
    /// Requests per hour, for one subject at one API; `None` means unlimited.
    pub per_hour: Option<u32>,
    /// Most requests within one second.
    pub burst: u32,
}

/// Every plan.
#[derive(Clone, Debug, Default)]
pub struct Plans(pub Vec<Plan>);

impl Plans {
    /// The plan with this name.
    pub fn find(&self, name: &str) -> Option<&Plan> {
        self.0.iter().find(|plan| plan.name == name)
    }
}
