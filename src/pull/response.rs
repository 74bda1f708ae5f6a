//! The response to one attempt of a request: an answer, or why there is none.

use std::time::Duration;

use reqwest::{Response, StatusCode, header};
use serde_json::Value;

use super::answer::date;
use super::error::ApiError;
use super::file::BYTE_ORDER_MARK;
use crate::content_coding::{self, CodingError};
use crate::domain::lenient_json;
use crate::providers::directory::Answer;

/// The content type of a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The largest answer: 500 users with the largest metadata need a tenth of it.
const LARGEST_ANSWER: usize = 64 << 20;

/// Why one attempt failed, and the pause before the next one.
pub(super) struct Failure {
    pub(super) what: String,
    /// The pause that the provider requests.
    pub(super) pause: Option<Duration>,
}

/// What a failed attempt means for the request.
pub(super) enum Verdict {
    /// Another attempt would fail too.
    Permanent(ApiError),
    /// Another attempt may succeed.
    Temporary(Failure),
}

impl Verdict {
    /// The error of a request that is not tried again.
    pub(super) fn into_error(self) -> ApiError {
        match self {
            Self::Permanent(error) => error,
            Self::Temporary(failure) => ApiError::Unavailable(failure.what),
        }
    }
}

/// Whether a stream of events follows.
pub(super) fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    response.status().is_success() && content_type.is_some_and(|kind| kind.starts_with(EVENT_STREAM))
}

/// Reads the whole answer.
pub(super) async fn read(mut response: Response) -> Result<Answer, Verdict> {
    let temporary = |what: &str| Verdict::Temporary(Failure { what: what.to_owned(), pause: None });
    let too_large = || {
        // Another attempt would have the same size.
        Verdict::Permanent(ApiError::Refused(format!(
            "the answer is larger than {} MiB",
            LARGEST_ANSWER >> 20
        )))
    };
    let codings = content_coding::of(response.headers());
    let status = response.status();
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| temporary(&describe(&error)))? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err(too_large());
        }
    }
    let is_truncated = status == StatusCode::OK && body.is_empty();
    if is_truncated {
        return Err(temporary("the answer is empty"));
    }
    let body = content_coding::decode(body, &codings, LARGEST_ANSWER).map_err(|error| match error {
        CodingError::TooLarge(_) => too_large(),
        // Perhaps it was truncated.
        CodingError::Undecodable(_) => temporary(&error.to_string()),
    })?;
    let mut answer =
        Answer { status: status.as_u16(), body: json(&body).unwrap_or(Value::Null), headers, date: None };
    answer.date = date(&answer);
    Ok(answer)
}

/// The body as JSON. It may begin with a byte order mark, and may have half of a surrogate pair in a name.
fn json(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    lenient_json::from_slice(body).ok()
}

/// Describes an error of reqwest without the URL, whose query may contain a signature.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_timeout() => "the provider did not answer in time",
        error if error.is_connect() => "the provider cannot be reached",
        error if error.is_body() || error.is_decode() => {
            "the connection closed before the whole answer arrived"
        }
        _ => "the request failed",
    };
    what.to_owned()
}
