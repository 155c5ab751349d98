//! Owns tests that real proxies with the example configurations allow valid requests and refuse others: each in front
//! of an API that records what it receives, with the real grantd.

mod identity;
mod refusals;

use crate::harness::front::{EMAIL, Front};

/// The same tests for every proxy.
macro_rules! at_each_proxy {
    ($($test:ident),* $(,)?) => {
        at_each_proxy!(@ nginx Nginx $($test)*);
        at_each_proxy!(@ caddy Caddy $($test)*);
        at_each_proxy!(@ apache Apache $($test)*);
    };
    (@ $module:ident $kind:ident $($test:ident)*) => {
        mod $module {
            use crate::harness::proxy::Kind;
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Front::new(Kind::$kind).await).await;
            })*
        }
    };
}
use at_each_proxy;
