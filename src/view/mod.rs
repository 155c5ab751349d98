//! Owns what a page may show: one template struct per page, holding plain data that is already decided.
//! Does not read the store, know the time, or speak HTTP; the handlers in `web` do.

mod account;
mod apps;
mod chart;
mod entry;
mod keys;
mod parts;
mod reference;

pub use self::account::{
    ActivityDay, ActivityPage, ConnectedPage, ConnectedRow, DenialRow, DeniedPage, EventLine, Link, PasswordForm,
    SecurityPage, SessionRow,
};
pub use self::apps::{
    AppForm, AppNewPage, AppPage, AppRow, AppSecretPage, AppsPage, CallbackOutcome, CallbackPage, Exchange, Fixed,
    SecretRow,
};
pub use self::chart::{Chart, Count};
pub use self::entry::{ConsentApi, ConsentPage, LeakedPage, LoginPage, NoticePage};
pub use self::keys::{
    KeyCreatedPage, KeyForm, KeyPage, KeyRow, KeysPage, LastUse, PlaceRow, ProjectForm, ProjectPage, ProjectRow,
    ProjectsPage,
};
pub use self::parts::{
    Badge, Choice, Flash, Nav, ScopeChoice, ScopeGroup, ScopeLine, Shell, Step, Tone, When, bitting, monogram,
    sentence, shell_quote, shell_unquote,
};
pub use self::reference::{Field, Operation, OperationGroup, ProblemKind, ReferencePage, Words};
