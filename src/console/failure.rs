//! Why a page is not shown. `frame` renders it, as a page.

use std::fmt;

use actix_web::error::{PayloadError, QueryPayloadError, UrlencodedError};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::clock::NoRandomness;
use crate::store::StoreError;

/// Why a page is not shown.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Nobody is logged in; afterwards this page is shown.
    NotLoggedIn { next: String },
    /// A link of another site led here, so the browser has sent no cookie. The page has to ask for itself once more.
    AskAgain,
    /// The request does not come from a form of this console.
    Forged(&'static str),
    /// The address is not one of this machine.
    WrongHost,
    /// There is no such page, or nothing with this name.
    NotFound(&'static str),
    /// The request cannot be understood.
    BadRequest(String),
    /// The form is larger than the console reads.
    TooLarge,
    /// The address has no such method, but these.
    WrongMethod { allowed: &'static str },
    /// Too many attempts to log in.
    TooManyLogins,
    /// What a form asks for cannot be done now. The page shows how things are.
    NotDone { why: &'static str, page: String },
    /// The database, or something else that will work again.
    Unavailable(String),
}

impl Failure {
    pub(super) fn not_done(why: &'static str, page: &str) -> Self {
        Self::NotDone { why, page: page.to_owned() }
    }

    /// The title, and what to do.
    pub(super) fn texts(&self) -> (&'static str, &str) {
        match self {
            Self::NotLoggedIn { .. } => ("Log in", "Log in to see this page."),
            Self::AskAgain => ("One moment", "A link on another site led here. Continue to the page:"),
            Self::Forged(why) => ("This was not sent by a form of the console", why),
            Self::WrongHost => (
                "Not under this name",
                "The console of `usersync dev` has no login, so it answers only to localhost and 127.0.0.1.",
            ),
            Self::NotFound(what) => ("Not found", what),
            Self::BadRequest(why) => ("The request cannot be understood", why),
            Self::TooLarge => (
                "The form is too large",
                "A form may have 4 MiB. To explain a larger delivery, use `usersync explain webhook` with a file.",
            ),
            Self::WrongMethod { .. } => {
                ("This method is not allowed here", "The header Allow has the methods of this address.")
            }
            Self::TooManyLogins => {
                ("Too many attempts", "Wait a minute, then log in again. Five attempts a minute are allowed.")
            }
            Self::NotDone { why, .. } => ("Nothing was done", why),
            Self::Unavailable(_) => (
                "The database does not answer",
                "Nothing was changed. Try again soon; the log has the reason.",
            ),
        }
    }
}

impl Failure {
    /// The reason in the log of a request that may be an attack.
    pub(super) fn logged_reason(&self) -> Option<&'static str> {
        match self {
            Self::Forged(_) => Some("foreign_form"),
            Self::WrongHost => Some("wrong_host"),
            Self::TooManyLogins => Some("too_many_logins"),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => f.write_str(why),
            other => f.write_str(other.texts().0),
        }
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotLoggedIn { .. } => StatusCode::SEE_OTHER,
            Self::AskAgain => StatusCode::OK,
            Self::Forged(_) | Self::WrongHost => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyLogins => StatusCode::TOO_MANY_REQUESTS,
            Self::NotDone { .. } => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl From<&actix_web::Error> for Failure {
    /// The failure that the handler of a form's errors has made.
    fn from(error: &actix_web::Error) -> Self {
        let known = error.as_error::<Self>().cloned();
        known.unwrap_or_else(|| Self::BadRequest(format!("The form cannot be read: {error}.")))
    }
}

impl From<UrlencodedError> for Failure {
    fn from(error: UrlencodedError) -> Self {
        match error {
            UrlencodedError::Overflow { .. } | UrlencodedError::Payload(PayloadError::Overflow) => {
                Self::TooLarge
            }
            UrlencodedError::ContentType => Self::BadRequest(
                "The form must be sent as application/x-www-form-urlencoded, in UTF-8.".to_owned(),
            ),
            UrlencodedError::Parse(error) => Self::BadRequest(format!("The form cannot be read: {error}.")),
            _ => Self::BadRequest("The form did not arrive completely. Send it again.".to_owned()),
        }
    }
}

impl From<QueryPayloadError> for Failure {
    fn from(error: QueryPayloadError) -> Self {
        let why = match error {
            QueryPayloadError::Deserialize(error) => error.to_string(),
            error => error.to_string(),
        };
        Self::BadRequest(format!("The address cannot be read: {why}."))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Rejected(_) => Self::BadRequest(
                "The database cannot store one of the characters: its encoding lacks it.".to_owned(),
            ),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        Self::Unavailable(error.to_string())
    }
}
