//! Group reading, as the batcher is group commit: users who are asked for while others are read are read together
//! by the next statement.
//!
//! A lone question waits for nobody. Thousands that come at once, each for another user, are few statements on few
//! connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::domain::UserKey;
use crate::store::{LookedUp, Store, StoreError};

/// Statements under way at a time, so that one that is slow does not hold up the others. More would be smaller ones.
const READERS: usize = 4;
/// Users in one statement.
const LARGEST: usize = 256;
/// How long an answer is waited for before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The queue's near end.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    /// Unbounded, for each request waits for one answer, and the number of requests is bounded.
    queue: mpsc::UnboundedSender<Question>,
}

#[derive(Debug)]
struct Question {
    user: UserKey,
    answer: oneshot::Sender<Result<LookedUp, StoreError>>,
}

impl Readers {
    /// Starts to read in the background, until the last of these is dropped.
    pub(super) fn start(store: &Store) -> Self {
        let (queue, questions) = mpsc::unbounded_channel();
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..READERS {
            tokio::spawn(answer(store.clone(), Arc::clone(&questions)));
        }
        Self { queue }
    }

    /// What the tables say of a user now.
    pub(super) async fn look_up(&self, user: &UserKey) -> Result<LookedUp, StoreError> {
        let (answer, answered) = oneshot::channel();
        let nobody_reads = || StoreError::away("nobody reads any more");
        self.queue.send(Question { user: user.clone(), answer }).map_err(|_| nobody_reads())?;
        let late = |_| StoreError::away("it did not answer in time");
        let answered = tokio::time::timeout(PATIENCE, answered).await.map_err(late)?;
        answered.unwrap_or_else(|_| Err(nobody_reads()))
    }
}

async fn answer(store: Store, queue: Arc<Mutex<mpsc::UnboundedReceiver<Question>>>) {
    let mut questions = Vec::new();
    while queue.lock().await.recv_many(&mut questions, LARGEST).await > 0 {
        // Who has gone away needs no answer.
        questions.retain(|question| !question.answer.is_closed());
        if questions.is_empty() {
            continue;
        }
        let users: BTreeSet<&UserKey> = questions.iter().map(|question| &question.user).collect();
        let known = store.users().look_up(&users).await;
        for Question { user, answer } in questions.drain(..) {
            let said = match &known {
                Ok(known) => known.get(&user).cloned().unwrap_or_else(|| Ok(LookedUp::default())),
                Err(away) => Err(away.clone()),
            };
            drop(answer.send(said));
        }
    }
}
