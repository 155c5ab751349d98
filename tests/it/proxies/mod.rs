//! Owns that real proxies with the example configurations let the right ones in and keep the wrong ones out: each in front
//! of an API that writes down what reaches it, with the real grantd to ask.

mod identity;
mod refusals;

use crate::harness::front::{EMAIL, Front};

/// The same tests at every proxy, each test by its name.
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
