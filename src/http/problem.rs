//! Every refusal, as `application/problem+json` (RFC 9457). No other file of this module chooses the status of a
//! refusal.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};
use utoipa::ToSchema;

use crate::auth::{NotAUser, TokenError};
use crate::domain::Scope;
use crate::events::ReadError;
use crate::signature::SignatureError;
use crate::store::StoreError;
use crate::sync::{ReceiveError, WriteError};

/// A refusal: a code for programs, texts for the client, and a cause for the log, which the client never sees.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    status: u16,
    cause: Option<String>,
    /// The scope that a service key lacks.
    missing_scope: Option<Scope>,
    /// The cursor to continue from.
    next: Option<i64>,
}

/// The stable names of everything that can be refused. [`Code::meaning`] is the table of what they mean.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = ProblemCode)]
pub(super) enum Code {
    InvalidAuthHeader,
    NoAuthProvider,
    Unauthenticated,
    KeysUnavailable,
    InsufficientScope,
    UserNotSynced,
    UserDeleted,
    UserNotFound,
    NotAUser,
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
    CursorExpired,
    NotFound,
    MethodNotAllowed,
    PreflightRefused,
    DatabaseUnavailable,
    QueueFull,
    TooManyRequests,
    Internal,
}

/// The body of a refusal, as the client reads it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// `urn:usersync:problem:` and the code.
    r#type: String,
    /// What is wrong, in a few words. Always the same for a code.
    title: &'static str,
    /// The HTTP status of the response.
    status: u16,
    /// The stable name, for programs.
    code: Code,
    /// What the client can do. It is always the same for a code, except for the name of a missing scope.
    detail: Cow<'static, str>,
    /// Of `cursor_expired`: the cursor to continue from, after all users were listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What a code means.
pub(super) struct Meaning {
    pub(super) status: u16,
    pub(super) title: &'static str,
    /// What the client can do.
    pub(super) detail: &'static str,
}

impl Code {
    /// The name, in `snake_case`.
    pub(super) fn name(self) -> &'static str {
        self.into()
    }

    /// What the code means.
    pub(super) fn meaning(self) -> Meaning {
        let (status, title, detail) = match self {
            Self::InvalidAuthHeader => (
                401,
                "The Authorization header is missing or malformed",
                "Send exactly one header `Authorization: Bearer <token>`, with the whole token.",
            ),
            Self::NoAuthProvider => (
                401,
                "No token rule matches the token",
                "Compare the token's issuer and audience with the configured rules: none has both.",
            ),
            Self::Unauthenticated => (401, "The token is not valid", "Get a new token and try again."),
            Self::KeysUnavailable => (
                503,
                "The provider's signing keys are unavailable",
                "The token may be valid, but it cannot be verified now. Try again soon.",
            ),
            Self::InsufficientScope => (
                403,
                "The service key lacks a scope",
                "Create a key with the scope that `WWW-Authenticate` names.",
            ),
            Self::UserNotSynced => (
                404,
                "The user has no row yet",
                "The provider's webhook has not arrived yet. Try again soon.",
            ),
            Self::UserDeleted => (410, "The user was deleted", "Sign the user out."),
            Self::UserNotFound => (404, "The user was not found", "No user has this id."),
            Self::NotAUser => (
                403,
                "The token does not belong to a user",
                "Send a user's token. The token of a program (client credentials) creates no user.",
            ),
            Self::UnknownSource => {
                (404, "The source is unknown", "The URL must end with the name of a configured source.")
            }
            Self::MissingSignature => (
                400,
                "A signature header is missing",
                "Send the provider's signature headers. If there are several, all of them must begin with `svix-`, or all with `webhook-`.",
            ),
            Self::InvalidSignature => (
                400,
                "The signature is not valid",
                "Check that the secret is the secret of this endpoint, and that nothing changes the body in transit.",
            ),
            Self::StaleTimestamp => (
                400,
                "The timestamp of the signature is too far from the current time",
                "Sign each attempt again, and check the clocks.",
            ),
            Self::InvalidBearerToken => (
                401,
                "The bearer token of the delivery is not valid",
                "Send one of the source's `bearer_tokens` as `Authorization: Bearer <token>`.",
            ),
            Self::InvalidJson => (400, "The body is not valid JSON", "Send the event as JSON in UTF-8."),
            Self::BodyTooLarge => (413, "The body is too large", "The limit is `server.body_limit`."),
            Self::BodyTimeout => (408, "The body did not arrive in time", "Send it again."),
            Self::BodyBroken => (400, "The connection was closed too early", "Send it again."),
            Self::InvalidQuery => (
                400,
                "A query parameter is not valid",
                "See /openapi.json for the parameters and their limits.",
            ),
            Self::CursorExpired => {
                (410, "The cursor is too old", "List the users, then continue from `next`.")
            }
            Self::NotFound => (404, "Not found", "See /openapi.json for the routes."),
            Self::MethodNotAllowed => (
                405,
                "The method is not allowed on this route",
                "The Allow header lists the methods of the route.",
            ),
            Self::PreflightRefused => (
                400,
                "The web page may not send this request",
                "Add the page's origin to `server.cors_origins`. The methods are GET, HEAD and POST.",
            ),
            Self::DatabaseUnavailable => {
                (503, "The database is unavailable", "Try again soon. It is safe to repeat the request.")
            }
            Self::QueueFull => (
                503,
                "Too many deliveries are waiting to be written",
                "Send it again soon. It is safe to repeat it.",
            ),
            Self::TooManyRequests => (
                429,
                "Too many requests",
                "Send fewer requests or keep fewer streams open, and try again soon.",
            ),
            Self::Internal => (
                500,
                "Internal error",
                "The cause is in the log. Quote the request id, from the header X-Request-Id.",
            ),
        };
        Meaning { status, title, detail }
    }

    /// Whether the refusal names the credentials that are needed, in `WWW-Authenticate`.
    pub(super) fn has_challenge(self) -> bool {
        self.meaning().status == 401 || self == Self::InsufficientScope
    }

    /// The seconds after which the client may try again; `None` if trying again does not help.
    pub(super) fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::UserNotSynced | Self::QueueFull | Self::TooManyRequests => Some("1"),
            Self::KeysUnavailable | Self::DatabaseUnavailable => Some("5"),
            _ => None,
        }
    }
}

impl Problem {
    /// A problem whose code says everything: it has no cause.
    pub(super) fn new(code: Code) -> Self {
        Self { code, status: code.meaning().status, cause: None, missing_scope: None, next: None }
    }

    /// A problem with its cause, for the log.
    pub(super) fn because(code: Code, cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(code) }
    }

    /// The service key with this prefix lacks a scope that the route requires.
    pub(super) fn insufficient_scope(required: Scope, prefix: &str) -> Self {
        let cause = format!("service key {prefix} lacks {required}");
        Self { missing_scope: Some(required), ..Self::because(Code::InsufficientScope, cause) }
    }

    /// The same for a reverse proxy, which knows only two refusals: no valid token (401) and access denied (403).
    pub(super) fn into_forbidden(self) -> Self {
        let status =
            if matches!(self.code, Code::UserNotSynced | Code::UserDeleted) { 403 } else { self.status };
        Self { status, ..self }
    }

    /// Whether it has this code.
    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// The stable name, such as `user_not_synced`.
    pub fn code(&self) -> &'static str {
        self.code.name()
    }

    /// The value of `WWW-Authenticate` (RFC 6750). It has no error attribute if the request had no credentials.
    fn challenge(&self) -> Option<Cow<'static, str>> {
        match (self.status, self.code) {
            (401, Code::InvalidAuthHeader) => Some("Bearer".into()),
            (401, _) => Some("Bearer error=\"invalid_token\"".into()),
            _ => {
                let scope = self.missing_scope?;
                Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"").into())
            }
        }
    }

    /// What the client can do.
    fn detail(&self) -> Cow<'static, str> {
        match self.missing_scope {
            Some(scope) => format!("Create a key with the scope `{scope}`.").into(),
            None => self.code.meaning().detail.into(),
        }
    }

    /// The cause, for the log and never for the client. Empty if there is none in addition to the code.
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
        let (code, status) = (self.code, self.status);
        let (Meaning { title, .. }, detail) = (code.meaning(), self.detail());
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.code.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, &*challenge));
        }
        let (r#type, next) =
            (format!("urn:usersync:problem:{}", code.name()), self.next.map(|next| next.to_string()));
        let document = Document { r#type, title, status, code, detail, next };
        let body = serde_json::to_string(&document).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::UnknownSource { .. } => Self::because(Code::UnknownSource, error),
            ReceiveError::Signature(error) => error.into(),
            ReceiveError::NotJson(error) => Self::because(Code::InvalidJson, error),
            ReceiveError::Write(WriteError::Store(error)) => error.into(),
            ReceiveError::Write(error @ WriteError::QueueFull) => Self::because(Code::QueueFull, error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Expired { next } => {
                Self { next: Some(next), ..Self::because(Code::CursorExpired, error) }
            }
            ReadError::Store(error) => error.into(),
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

impl From<NotAUser> for Problem {
    fn from(error: NotAUser) -> Self {
        Self::because(Code::NotAUser, error)
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
            StoreError::Unavailable(_)
            | StoreError::Conflict(_)
            | StoreError::Blocked(_)
            | StoreError::Setup(_) => Code::DatabaseUnavailable,
            StoreError::Rejected(_) => Code::Internal,
        };
        Self::because(code, error)
    }
}

pub(super) fn method_not_allowed(allowed: &str) -> HttpResponse {
    let mut response = Problem::new(Code::MethodNotAllowed).error_response();
    if let Ok(allowed) = header::HeaderValue::try_from(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use strum::VariantArray as _;

    use super::{Code, Meaning, Problem, Scope};

    #[test]
    fn the_table_of_problems_is_what_clients_rely_on() {
        let row = |code: &Code| {
            let Meaning { status, title, detail } = code.meaning();
            format!("{status} {}: {title}. {detail}", code.name())
        };
        let table: Vec<String> = Code::VARIANTS.iter().map(row).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[actix_web::test]
    async fn insufficient_scope_names_the_missing_scope() {
        for scope in [Scope::UsersRead, Scope::EventsRead, Scope::Admin] {
            let answer = Problem::insufficient_scope(scope, "usk_12345678").error_response();
            assert_eq!(answer.status(), 403);
            let challenge = answer.headers().get("www-authenticate").unwrap().to_str().unwrap().to_owned();
            assert_eq!(challenge, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
            let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["code"], "insufficient_scope");
            assert_eq!(body["detail"], format!("Create a key with the scope `{scope}`."));
        }
    }
}
