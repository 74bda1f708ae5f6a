//! Reads users in groups, as the queue of deliveries is written in groups: users who are requested while a statement
//! runs are read together by the next one.
//!
//! A single lookup does not wait for others. Thousands of simultaneous lookups of different users become a few
//! statements on a few connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::domain::UserKey;
use crate::jobs::Jobs;
use crate::store::{Store, StoreError, UserLookup};

/// Statements that run at a time, so that a slow one does not hold up the others. With more, each would be smaller.
const STATEMENTS: usize = 4;
/// The most users in one statement.
const LARGEST_BATCH: usize = 256;
/// How long a question waits for its answer before the database counts as unavailable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The sending end of the queue of questions.
#[derive(Clone, Debug)]
pub(super) struct UserLoader {
    /// Unbounded: each request waits for one answer, and the number of requests is bounded.
    queue: mpsc::UnboundedSender<Question>,
}

#[derive(Debug)]
struct Question {
    user: UserKey,
    answer: oneshot::Sender<Result<UserLookup, StoreError>>,
}

impl UserLoader {
    /// Starts to read in the background.
    pub(super) fn start(jobs: &Jobs, store: &Store) -> Self {
        let (queue, questions) = mpsc::unbounded_channel();
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..STATEMENTS {
            let (store, questions) = (store.clone(), Arc::clone(&questions));
            jobs.spawn_worker("user loader", move |end| {
                let answers = answer(store.clone(), Arc::clone(&questions));
                async move { end.run_until_cancelled_owned(answers).await.unwrap_or_default() }
            });
        }
        Self { queue }
    }

    /// Reads the row or tombstone of a user now.
    pub(super) async fn look_up(&self, user: &UserKey) -> Result<UserLookup, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::unavailable("the service is stopping");
        self.queue.send(Question { user: user.clone(), answer }).map_err(|_| ended())?;
        let late = |_| StoreError::unavailable("the database did not answer in time");
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, answered).await.map_err(late)?;
        answered.unwrap_or_else(|_| Err(StoreError::unavailable("the user was not read")))
    }
}

async fn answer(store: Store, queue: Arc<Mutex<mpsc::UnboundedReceiver<Question>>>) {
    let mut questions = Vec::new();
    while queue.lock().await.recv_many(&mut questions, LARGEST_BATCH).await > 0 {
        // A caller that has disconnected needs no answer.
        questions.retain(|question| !question.answer.is_closed());
        if questions.is_empty() {
            continue;
        }
        let users: BTreeSet<&UserKey> = questions.iter().map(|question| &question.user).collect();
        let found = store.users().look_up(&users).await;
        for Question { user, answer } in questions.drain(..) {
            let result = match &found {
                Ok(found) => found.get(&user).cloned().unwrap_or_else(|| Ok(UserLookup::default())),
                Err(error) => Err(error.clone()),
            };
            drop(answer.send(result));
        }
    }
}
