//! Owns what a page may show: one template struct per page, holding plain data that is already decided.
//! Does not read the store, know the time, or speak HTTP; the handlers in `web` do.

mod account;
mod apps;
mod entry;
mod parts;

pub use self::account::{ConnectedPage, ConnectedRow, KeyCreatedPage, KeyForm, KeyRow, KeysPage};
pub use self::apps::{
    AppForm, AppNewPage, AppPage, AppRow, AppSecretPage, AppsPage, CallbackOutcome, CallbackPage, Exchange, SecretRow,
};
pub use self::entry::{ConsentApi, ConsentPage, LeakedPage, LoginPage, NoticePage};
pub use self::parts::{
    Badge, Choice, Flash, Nav, ScopeChoice, ScopeGroup, ScopeLine, Shell, Tone, When, bitting, monogram, sentence,
    shell_quote,
};
