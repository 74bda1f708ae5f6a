//! Why a run failed.

use super::file::FileError;
use crate::domain::Timestamp;
use crate::providers::directory::{Answer, ListError};
use crate::store::{RunState, StoreError};

/// A request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// The operator has to fix it.
    #[error("{0}")]
    Refused(String),
    /// The provider does not accept the credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// The credentials lack a permission.
    #[error("{words}")]
    Forbidden { answer: Box<Answer>, words: String },
    /// The provider refused this one request; the list may have another request for it.
    #[error("the provider answered {}: {words}", answer.status)]
    Answered { answer: Box<Answer>, words: String },
    /// The answer is not one of the provider's API.
    #[error("{0}: check `base_url` under [sources.api], and any proxy in between")]
    Unexpected(String),
    /// It may succeed later; every attempt failed.
    #[error("{0}")]
    Unavailable(String),
}

/// A run failed. The pages before the failure are written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// The source has no API credentials.
    #[error("source `{0}` has no [sources.api] (standard: [sources.list]), so its users cannot be read")]
    NoApi(String),
    /// Another process is working on the source.
    #[error(
        "another process is reading the users of `{source_name}`: wait until it has finished; if it was \
            killed, try again after {until}"
    )]
    Held { source_name: String, until: Timestamp },
    /// The key is for another instance than the webhooks, or than the issuer of the tokens.
    #[error("{0}")]
    WrongInstance(String),
    /// A request to the provider failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer is not a page of the list.
    #[error(transparent)]
    List(#[from] ListError),
    /// The list ended, but it does not have all users.
    #[error("{0}")]
    Incomplete(String),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database failed or rejected the data.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl PullError {
    /// The state of the run after this error: the next call continues it, or begins another one if its position cannot
    /// be trusted.
    pub(super) fn run_state(&self) -> RunState {
        match self {
            Self::Incomplete(_) | Self::List(ListError::Repeats(_)) => RunState::Abandoned,
            _ => RunState::Running,
        }
    }

    /// Whether the same run may succeed if it is tried again.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Held { .. }
            | Self::Interrupted
            | Self::Api(ApiError::Unavailable(_))
            | Self::List(ListError::NotPrepared(_)) => true,
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
