//! Why a run did not come to its end.

use super::file::FileError;
use crate::domain::Timestamp;
use crate::providers::directory::{Answer, ListError};
use crate::store::{RunState, StoreError};

/// How often a request is tried before the run stops, unfinished.
pub(super) const ATTEMPTS: u32 = 8;

/// A request did not get its answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// Only the operator can mend it.
    #[error("{0}")]
    Refused(String),
    /// The provider does not take the credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// The credentials lack a permission.
    #[error("{words}")]
    Forbidden { answer: Box<Answer>, words: String },
    /// The provider refused this one request; the walk may know another way.
    #[error("the provider answered {}: {words}", answer.status)]
    Answered { answer: Box<Answer>, words: String },
    /// The answer is not one of the provider's API.
    #[error("{0}: check `base_url` under [sources.api], and what stands between")]
    Unexpected(String),
    /// Time may mend it; every attempt failed.
    #[error("{0}, {ATTEMPTS} times in a row")]
    Unavailable(String),
}

/// A run did not come to its end. What it has read is written, and the next one continues from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// The settings do not say with what the provider is asked.
    #[error("source `{0}` has no [sources.api], so its provider cannot be asked")]
    NoApi(String),
    /// Another process works on the source.
    #[error(
        "another process is reading the users of `{source_name}` (until {until}, or longer if it is still running); wait for it"
    )]
    Held { source_name: String, until: Timestamp },
    /// The key is of another instance than the webhooks.
    #[error("{0}")]
    WrongInstance(String),
    /// The provider was asked and did not answer as it should.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer is not a page of the list.
    #[error(transparent)]
    List(#[from] ListError),
    /// The list came to its end without everybody.
    #[error("{0}")]
    NotWhole(String),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl PullError {
    /// What becomes of the run: the next call continues it, or begins another one if its position cannot be trusted.
    pub(super) fn run_state(&self) -> RunState {
        match self {
            Self::NotWhole(_) | Self::List(ListError::Repeats(_)) => RunState::Abandoned,
            _ => RunState::Running,
        }
    }

    /// Whether the same run may simply be tried again.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Held { .. } | Self::Interrupted | Self::Api(ApiError::Unavailable(_)) => true,
            Self::Store(error) => {
                matches!(error, StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Blocked(_))
            }
            _ => false,
        }
    }

    /// Whether the settings or the arguments have to be changed before another run can do better.
    pub(crate) fn is_setup(&self) -> bool {
        matches!(self, Self::NoApi(_) | Self::WrongInstance(_) | Self::File(FileError::Open { .. }))
    }
}
