//! A provider's own log of events, read by a pure state machine: the last answer determines where to continue.

use std::fmt;

use serde_json::Value;

use super::directory::{Answer, ListError, Request};
use crate::domain::Timestamp;

/// Reads one provider's log of events about users. The events are those of its webhooks, with the same ids.
pub(crate) trait ProviderLog: fmt::Debug + Send + Sync {
    /// How the log is read.
    fn form(&self) -> LogForm;

    /// The request for the events after a position.
    fn request(&self, from: &LogStart) -> Request;

    /// Reads a page of the log. Its status is 2xx.
    fn read_page(&self, _from: &LogStart, _answer: &Answer) -> Result<LogPage, ListError> {
        Err(ListError::not_a_list("a page of events"))
    }

    /// Reads a message of the stream.
    fn read_message(&self, _message: &StreamMessage) -> LogMessage {
        LogMessage::Nothing
    }

    /// Why a request was refused with this 4xx.
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

/// Where to start reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogStart {
    /// After a position that was read before, in the provider's own format.
    After(String),
    /// With the events since a time.
    Since(Timestamp),
}

/// A page of a log.
#[derive(Debug, PartialEq)]
pub(crate) struct LogPage {
    /// The events, oldest first, in the format of the webhooks.
    pub(crate) events: Vec<Value>,
    /// The position after them; `None` if there are none.
    pub(crate) cursor: Option<String>,
    /// Whether there are more events now.
    pub(crate) has_more: bool,
}

/// A message of a stream (Server-Sent Events), as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamMessage {
    /// The type of the message; empty if it was not sent.
    pub(crate) event: String,
    pub(crate) data: String,
}

/// What a message of a stream means.
#[derive(Debug, PartialEq)]
pub(crate) enum LogMessage {
    /// An event, in the format of the webhooks, and the position after it.
    Event { event: Value, cursor: String },
    /// There are no events up to this position.
    Position(String),
    /// The log cannot return the events before this position.
    Skipped(String),
    /// The provider no longer knows the position from which the stream was requested.
    PositionLost,
    /// The stream has ended with an error.
    Failed(String),
    /// A message without meaning for the log.
    Nothing,
}

/// Why a request for the log was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogRefusal {
    /// The provider no longer knows the position.
    PositionLost,
    /// Another connection is still open; a later attempt may succeed.
    Busy,
    /// The credentials may not read it.
    Forbidden,
    /// This provider, or its plan, has no such log.
    NotOffered,
    /// Anything else.
    Other,
}
