//! Events about changed users, for apps: `log` reads them for `GET /v1/events`, and a `dispatcher` for each endpoint
//! sends the pending ones.
//!
//! The events themselves are made where users change (`sync`), by the rule in `domain`.

mod body;
mod claims;
mod dispatcher;
mod log;
mod replay;
mod sender;
mod status;
mod sweep;

pub use body::EventBody;
pub use dispatcher::{Dispatch, register, start_dispatching};
pub use log::{EventBodies, EventLog, ReadError};
pub use replay::replay_changes;
pub use sender::Sender;
pub use status::{EndpointStatus, enable, statuses};
pub use sweep::start_sweeping_events;
#[cfg(feature = "internals")]
pub use sweep::sweep_events;
