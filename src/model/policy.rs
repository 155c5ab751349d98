//! Owns the bounds and defaults of what a deployment's users, clients and keys may have, which pages, management API,
//! command line and store share. Does not enforce them.

use std::ops::RangeInclusive;

/// Plan of a new user if none is named.
pub const PLAN: &str = "free";

/// Most live keys of one user, which imports may exceed, and most keys listed on a page.
pub const KEYS_MAX: i64 = 500;
/// Most keys created for one user in a day, live or not: an ended key is stored for a year.
pub const KEYS_A_DAY: i64 = 1000;
/// Longest lifetime of a key that expires, in seconds: ten years.
pub const KEY_SECONDS_MAX: i64 = 315_360_000;
/// Longest time that a replaced key still works, in seconds: 30 days.
pub const KEY_OVERLAP_MAX: i64 = 2_592_000;

/// Most projects of one user.
pub const PROJECTS_MAX: i64 = 200;

/// Most clients that one user may register.
pub const CLIENTS_MAX: i64 = 100;
/// Most live secrets of one client: the current one and those being replaced.
pub const SECRETS_MAX: i64 = 10;
/// Longest time that a replaced client secret still works, in seconds: a week, since it may have leaked.
pub const SECRET_OVERLAP_MAX: i64 = 604_800;
/// How long a replaced key or secret still works if nothing is said, in seconds.
pub const OVERLAP: i64 = 86_400;
/// How long a repeated refresh gets the same successor again, and at most, in seconds.
pub const REFRESH_GRACE: i64 = 10;
/// See [`REFRESH_GRACE`].
pub const REFRESH_GRACE_MAX: i64 = 60;

/// Most rules of one API; they are in memory, in a tree.
pub const RULES_MAX: usize = 10_000;
/// Lifetime of an API's access tokens if nothing is said, in seconds.
pub const ACCESS_TOKEN_SECONDS: i64 = 3600;
/// Lifetimes that an API's access tokens may have, in seconds.
pub const ACCESS_TOKEN_BOUNDS: RangeInclusive<i64> = 10..=86_400;

/// Entries on one page of the management API if nothing is said.
pub const PAGE: usize = 20;
/// Most entries on one page of the management API.
pub const PAGE_MAX: usize = 100;
/// Most sessions of one user listed.
pub const SESSIONS_LISTED: i64 = 100;
