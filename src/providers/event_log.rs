//! A provider's own log of events, read as a pure state machine: from the last answer follows where to go on.

use std::fmt;

use serde_json::Value;

use super::directory::{Answer, ListError, Request};
use crate::domain::Timestamp;

/// Reads one provider's log of events about users. The events are those that its webhooks bring, with the same ids.
pub(crate) trait EventLog: fmt::Debug + Send + Sync {
    /// How the log is read.
    fn form(&self) -> LogForm;

    /// Asks for what follows a place.
    fn request(&self, from: &LogStart) -> Request;

    /// What a page of the log says. Its status is 2xx.
    fn read_page(&self, _from: &LogStart, _answer: &Answer) -> Result<LogPage, ListError> {
        Err(ListError::not_a_list("a page of events"))
    }

    /// What a message of the stream says.
    fn read_message(&self, _message: &StreamMessage) -> LogMessage {
        LogMessage::Nothing
    }

    /// What it means that a request was refused with this 4xx.
    fn refusal(&self, from: &LogStart, answer: &Answer) -> LogRefusal;
}

/// How a log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// Page after page, and again after a while.
    Pages,
    /// As Server-Sent Events, on a connection that stays open.
    Stream,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogStart {
    /// After a place that was read before, in the provider's own terms.
    After(String),
    /// With the events since a moment.
    Since(Timestamp),
}

/// A page of a log.
#[derive(Debug, PartialEq)]
pub(crate) struct LogPage {
    /// The events, oldest first, as webhooks bring them.
    pub(crate) events: Vec<Value>,
    /// The place after them; `None` if there are none.
    pub(crate) cursor: Option<String>,
    /// Whether more follow now.
    pub(crate) has_more: bool,
}

/// A message of a stream (Server-Sent Events), as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamMessage {
    /// `message` if it was not sent.
    pub(crate) event: String,
    pub(crate) data: String,
}

/// What a message of a stream means.
#[derive(Debug, PartialEq)]
pub(crate) enum LogMessage {
    /// An event, as webhooks bring it, and the place after it.
    Event { event: Value, cursor: String },
    /// Nothing happened until this place.
    Position(String),
    /// The log cannot give what comes before this place.
    Skipped(String),
    /// The place where the stream began is not known any more.
    PositionLost,
    /// The stream has ended with an error.
    Failed(String),
    /// Of no interest.
    Nothing,
}

/// Why a request for the log was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogRefusal {
    /// The place is not known any more.
    PositionLost,
    /// Another connection is still open; later it may be free.
    Busy,
    /// The credentials may not read it.
    Forbidden,
    /// This provider, or its plan, has no such log.
    NotOffered,
    /// Anything else.
    Other,
}
