//! The number of users at the provider of a `standard` source. The order of its list is unknown, so there are no newest
//! users.

use super::directory::StandardDirectory;
use crate::providers::directory::{Answer, Directory as _, ListError, Request};
use crate::providers::watch::{Newest, ProviderWatch};

/// Watches the list of a `standard` source.
#[derive(Debug)]
pub(super) struct StandardWatch(pub(super) StandardDirectory);

impl ProviderWatch for StandardWatch {
    fn newest(&self) -> Option<Request> {
        self.0.has_total().then(|| self.0.request(None))
    }

    fn read_newest(&self, answer: &Answer) -> Result<Newest, ListError> {
        Ok(Newest { users: Vec::new(), total: self.0.read(None, answer)?.total })
    }
}
