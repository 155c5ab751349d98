//! Owns the parts that several pages share: shell, labels, charts and the notice page. Holds plain data that is already
//! decided: it does not read the store, the clock or HTTP requests. Individual pages are in `web`.

mod chart;
mod notice;
mod parts;

pub use self::chart::{Chart, Count};
pub use self::notice::NoticePage;
pub use self::parts::{
    Badge, Choice, Confirmation, Flash, Nav, ScopeChoice, ScopeGroup, ScopeLine, Shell, Tone, When, bitting, monogram,
    sentence, shell_quote, shell_unquote,
};
