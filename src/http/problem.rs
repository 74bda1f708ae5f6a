//! The one place that knows status codes: every refusal as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::TokenError;
use crate::signature::SignatureError;
use crate::store::StoreError;
use crate::sync::{ReceiveError, WriteError};

/// A refusal: its code for programs, a text for the client, and a text for the log that the client never
/// sees.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    status: u16,
    cause: Option<String>,
}

/// Stable names of everything that can be wrong. The table of what they mean is [`Code::meaning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidAuthHeader,
    NoAuthProvider,
    Unauthenticated,
    KeysUnavailable,
    InsufficientScope,
    UserNotSynced,
    UserDeleted,
    UserNotFound,
    UnknownSource,
    MissingSignature,
    InvalidSignature,
    StaleTimestamp,
    InvalidBearerToken,
    InvalidJson,
    BodyTooLarge,
    BodyTimeout,
    BodyBroken,
    InvalidQuery,
    NotFound,
    MethodNotAllowed,
    DatabaseUnavailable,
    QueueFull,
    TooManyRequests,
    Internal,
}

/// What the client reads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// `urn:usersync:problem:` and the code.
    r#type: String,
    /// What is wrong, in a few words.
    title: &'static str,
    /// The status, again.
    status: u16,
    /// Stable name for programs, in `snake_case`.
    code: &'static str,
    /// What the client can do.
    detail: &'static str,
}

impl Code {
    /// Every code.
    #[cfg(test)]
    pub(super) const ALL: [Self; 24] = [
        Self::InvalidAuthHeader,
        Self::NoAuthProvider,
        Self::Unauthenticated,
        Self::KeysUnavailable,
        Self::InsufficientScope,
        Self::UserNotSynced,
        Self::UserDeleted,
        Self::UserNotFound,
        Self::UnknownSource,
        Self::MissingSignature,
        Self::InvalidSignature,
        Self::StaleTimestamp,
        Self::InvalidBearerToken,
        Self::InvalidJson,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyBroken,
        Self::InvalidQuery,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::DatabaseUnavailable,
        Self::QueueFull,
        Self::TooManyRequests,
        Self::Internal,
    ];

    /// Status, code, title, and what the client can do.
    #[expect(clippy::too_many_lines, reason = "it is a table, with one entry for each code")]
    pub(super) fn meaning(self) -> (u16, &'static str, &'static str, &'static str) {
        match self {
            Self::InvalidAuthHeader => (
                401,
                "invalid_auth_header",
                "No usable credentials",
                "Send `Authorization: Bearer <token>`, once.",
            ),
            Self::NoAuthProvider => (
                401,
                "no_auth_provider",
                "No rule fits the token",
                "No configured rule has the token's issuer and audience.",
            ),
            Self::Unauthenticated => {
                (401, "unauthenticated", "The token is not accepted", "Get a new token and try again.")
            }
            Self::KeysUnavailable => (
                503,
                "keys_unavailable",
                "The provider's keys are not to be had",
                "The token may be good; it cannot be checked now. Try again soon.",
            ),
            Self::InsufficientScope => (
                403,
                "insufficient_scope",
                "The service key may not do this",
                "Make a key with the scope `users:read`.",
            ),
            Self::UserNotSynced => (
                404,
                "user_not_synced",
                "The user has no row yet",
                "The provider's webhook has not arrived. Try again soon.",
            ),
            Self::UserDeleted => (410, "user_deleted", "The user was deleted", "Sign the user out."),
            Self::UserNotFound => (404, "user_not_found", "No such user", "No row has this id."),
            Self::UnknownSource => (
                404,
                "unknown_source",
                "No such source",
                "The last part of the URL is the name of a configured source.",
            ),
            Self::MissingSignature => (
                400,
                "missing_signature",
                "The delivery is not signed",
                "Send the provider's signature; if in several headers, all of one family: svix-* or webhook-*.",
            ),
            Self::InvalidSignature => (
                400,
                "invalid_signature",
                "The signature does not fit",
                "Check that the secret is this endpoint's and that nothing changes the body on its way.",
            ),
            Self::StaleTimestamp => (
                400,
                "stale_timestamp",
                "The signature's timestamp is too far from now",
                "Sign each attempt anew, and check the clocks.",
            ),
            Self::InvalidBearerToken => (
                401,
                "invalid_bearer_token",
                "The delivery's bearer token is not the source's",
                "Send one of the source's `bearer_tokens` as `Authorization: Bearer <token>`.",
            ),
            Self::InvalidJson => {
                (400, "invalid_json", "The body is no JSON", "Send the event as JSON in UTF-8.")
            }
            Self::BodyTooLarge => {
                (413, "body_too_large", "The body is too large", "The limit is `server.body_limit`.")
            }
            Self::BodyTimeout => (408, "body_timeout", "The body did not arrive in time", "Send it again."),
            Self::BodyBroken => (400, "body_broken", "The body broke off", "Send it again."),
            Self::InvalidQuery => (
                400,
                "invalid_query",
                "A query parameter is not understood",
                "See /openapi.json for the parameters and their limits.",
            ),
            Self::NotFound => (404, "not_found", "Nothing is here", "See /openapi.json for what is."),
            Self::MethodNotAllowed => (
                405,
                "method_not_allowed",
                "The method is not for this route",
                "The Allow header names those that are.",
            ),
            Self::DatabaseUnavailable => (
                503,
                "database_unavailable",
                "The database is not to be had",
                "Nothing was changed. Try again soon.",
            ),
            Self::QueueFull => (
                503,
                "queue_full",
                "Too many deliveries wait to be written",
                "Nothing was kept. Send it again soon.",
            ),
            Self::TooManyRequests => (
                429,
                "too_many_requests",
                "Too much is asked at once",
                "Ask less often, keep fewer streams open, and try again soon.",
            ),
            Self::Internal => {
                (500, "internal", "Something failed here", "The log knows more; quote the request id.")
            }
        }
    }

    /// Seconds after which trying again makes sense.
    fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::UserNotSynced | Self::QueueFull | Self::TooManyRequests => Some("1"),
            Self::KeysUnavailable | Self::DatabaseUnavailable => Some("5"),
            _ => None,
        }
    }
}

impl Problem {
    /// A problem with nothing more to say in the log.
    pub(super) fn new(code: Code) -> Self {
        Self { code, status: code.meaning().0, cause: None }
    }

    /// A problem and, for the log, what caused it.
    pub(super) fn because(code: Code, cause: impl fmt::Display) -> Self {
        Self { code, status: code.meaning().0, cause: Some(cause.to_string()) }
    }

    /// The same for a reverse proxy, which knows only "who is it" (401) and "not this one" (403).
    pub(super) fn into_forbidden(self) -> Self {
        let status =
            if matches!(self.code, Code::UserNotSynced | Code::UserDeleted) { 403 } else { self.status };
        Self { status, ..self }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// The stable name, such as `user_not_synced`.
    pub fn code(&self) -> &'static str {
        self.code.meaning().1
    }

    /// What credentials are wanted (RFC 6750): no error attribute where none were sent.
    fn challenge(&self) -> Option<&'static str> {
        match (self.status, self.code) {
            (401, Code::InvalidAuthHeader) => Some("Bearer"),
            (401, _) => Some("Bearer error=\"invalid_token\""),
            (_, Code::InsufficientScope) => Some("Bearer error=\"insufficient_scope\", scope=\"users:read\""),
            _ => None,
        }
    }

    /// What caused it: for the log, never for the client; empty where the code says it all.
    pub fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let (_, code, title, detail) = self.code.meaning();
        let status = self.status;
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.code.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        let document =
            Document { r#type: format!("urn:usersync:problem:{code}"), title, status, code, detail };
        let body = serde_json::to_string(&document).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::UnknownSource => Self::new(Code::UnknownSource),
            ReceiveError::Signature(error) => error.into(),
            ReceiveError::NotJson(error) => Self::because(Code::InvalidJson, error),
            ReceiveError::Write(WriteError::Store(error)) => error.into(),
            ReceiveError::Write(error @ WriteError::QueueFull) => Self::because(Code::QueueFull, error),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Malformed(_) => Code::InvalidAuthHeader,
            TokenError::NoIssuer | TokenError::ForeignIssuer { .. } | TokenError::WrongAudience { .. } => {
                Code::NoAuthProvider
            }
            TokenError::KeysUnavailable { .. } => Code::KeysUnavailable,
            TokenError::WrongAlgorithm { .. }
            | TokenError::CriticalExtension
            | TokenError::NoKeyId
            | TokenError::UnknownKey { .. }
            | TokenError::AmbiguousKey { .. }
            | TokenError::WrongSignature
            | TokenError::NoTime { .. }
            | TokenError::NotATime { .. }
            | TokenError::Expired { .. }
            | TokenError::NotYetValid { .. }
            | TokenError::IssuedInTheFuture { .. }
            | TokenError::WrongParty { .. }
            | TokenError::PendingSession
            | TokenError::NoSubject => Code::Unauthenticated,
        };
        Self::because(code, format!("{}: {error}", error.check()))
    }
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        let code = match error {
            SignatureError::MissingHeader(_) => Code::MissingSignature,
            SignatureError::OutsideTolerance { .. } => Code::StaleTimestamp,
            SignatureError::InvalidHeader(_)
            | SignatureError::InvalidTimestamp
            | SignatureError::NoMatch
            | SignatureError::NoSecret => Code::InvalidSignature,
            SignatureError::NoBearerToken => Code::InvalidAuthHeader,
            SignatureError::WrongBearerToken => Code::InvalidBearerToken,
        };
        Self::because(code, error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Blocked(_) => {
                Code::DatabaseUnavailable
            }
            StoreError::Rejected(_) => Code::Internal,
        };
        Self::because(code, error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn the_table_of_problems_is_what_clients_rely_on() {
        let table = Code::ALL.map(|code| {
            let (status, name, title, _) = code.meaning();
            format!("{status} {name}: {title}")
        });
        insta::assert_snapshot!(table.join("\n"));
        assert_eq!(BTreeSet::from(table).len(), Code::ALL.len());
    }
}
