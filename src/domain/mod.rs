//! The rules, as pure functions: no database, no socket, no clock.

mod activity;
mod change;
mod converge;
mod delivery;
mod endpoint;
mod event;
mod facts;
mod foreign_text;
mod identity;
pub mod lenient_json;
mod number;
mod profile;
mod scope;
mod source_state;
mod stored_user;
mod timestamp;
mod user;
mod view;

pub use activity::Activity;
pub use change::{Change, ChangeKind, IdPolicy};
pub use converge::{Fact, Life, Rank, Record, Standing};
pub use delivery::{Content, Delivery, DeliveryKey, Outcome};
pub use endpoint::{AttemptResult, EndpointState, Health, retry_pause};
pub use event::{Event, EventKind, LoggedEvent, collapse, collapse_user, events_of};
pub use facts::{Facts, ImpossibleValue};
pub use foreign_text::{foreign_text, is_invisible};
pub use identity::{Identity, TokenKind};
pub use profile::{Field, Kind, Profile};
pub use scope::{Admin, EventsRead, RequiredScope, Scope, Scopes, UsersRead};
pub use source_state::{
    Checks, Comparison, LogState, ProviderReport, Reason, Signals, SourceState, evaluate, usual_pause,
};
pub use stored_user::{StaleReason, StoredUser};
pub use timestamp::{Timestamp, retry_after};
pub use user::{User, UserId, UserKey};
pub use view::UserView;
