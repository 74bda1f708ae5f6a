//! How many users the provider of a `standard` source has. Its list has no known order, so it has no newest users.

use super::directory::StandardDirectory;
use crate::providers::directory::{Answer, Directory as _, ListError, Request};
use crate::providers::watch::{Newest, Watch};

/// Watches the list of a `standard` source.
#[derive(Debug)]
pub(super) struct StandardWatch(pub(super) StandardDirectory);

impl Watch for StandardWatch {
    fn newest(&self) -> Option<Request> {
        self.0.tells_total().then(|| self.0.request(None))
    }

    fn read_newest(&self, answer: &Answer) -> Result<Newest, ListError> {
        Ok(Newest { users: Vec::new(), total: self.0.read(None, answer)?.total })
    }
}
