//! The newest users of Clerk. It has neither a log of events nor an API for the endpoints of its webhooks.

use serde_json::Value;

use crate::providers::directory::{Answer, ListError, Request, items};
use crate::providers::watch::{Newest, ProviderWatch};

/// Watches one Clerk instance.
#[derive(Debug)]
pub(super) struct ClerkWatch {
    /// The API version, sent with every request.
    pub(super) version: &'static str,
}

impl ProviderWatch for ClerkWatch {
    fn newest(&self) -> Option<Request> {
        let request = Request::get("/users").with("order_by", "-created_at").with("limit", 10);
        Some(request.with_header("clerk-api-version", self.version))
    }

    fn read_newest(&self, answer: &Answer) -> Result<Newest, ListError> {
        let users: Vec<Value> = items(&answer.body, "", "Clerk's list of users")?;
        Ok(Newest { users, total: None })
    }
}
