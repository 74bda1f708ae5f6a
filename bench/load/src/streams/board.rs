//! What the streams have received, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::bail;
use tokio::sync::Notify;

use super::events::Event;

/// The streams write to it, and the sender of a webhook reads it.
#[derive(Default)]
pub(super) struct Notifications {
    told: Mutex<Received>,
    changed: Notify,
}

#[derive(Default)]
struct Received {
    /// When each stream that has been told was.
    times: Vec<Instant>,
    /// So many are to be told.
    expected: usize,
    /// The first event since it was cleared; all others must be the same.
    event: Option<Event>,
    failure: Option<String>,
}

impl Received {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(failure) = &self.failure {
            bail!("{failure}");
        }
        if self.times.len() > self.expected {
            bail!("{} streams were told where {} should be", self.times.len(), self.expected);
        }
        Ok(())
    }
}

impl Notifications {
    /// Clears it, for so many streams to be told of one change.
    pub(super) fn expect(&self, streams: usize) {
        let mut told = self.lock();
        told.times.clear();
        told.event = None;
        told.expected = streams;
    }

    /// A stream has received this event.
    pub(super) fn tell(&self, event: Event) {
        let now = Instant::now();
        let mut told = self.lock();
        told.times.push(now);
        match &told.event {
            None => told.event = Some(event),
            Some(first) if *first != event => {
                told.failure = Some(format!("not told alike: {first:?}, {event:?}"));
            }
            Some(_) => {}
        }
        if told.failure.is_some() || told.times.len() >= told.expected {
            self.changed.notify_one();
        }
    }

    pub(super) fn fail(&self, failure: String) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_one();
    }

    /// Waits until all have been told; tells when each was, the first one first, and the event.
    pub(super) async fn all_told(&self) -> anyhow::Result<(Vec<Instant>, Event)> {
        loop {
            {
                let told = self.lock();
                told.check()?;
                if told.times.len() == told.expected {
                    let event = told.event.clone().unwrap_or_default();
                    return Ok((told.times.clone(), event));
                }
            }
            self.changed.notified().await;
        }
    }

    /// Fails if a stream has ended, or more were told than should be.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.lock().check()
    }

    /// How many streams have received it so far.
    pub(super) fn count(&self) -> usize {
        self.lock().times.len()
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Event {
        Event { name: "user".to_owned(), id: id.to_owned(), data: String::new() }
    }

    #[tokio::test]
    async fn all_have_been_told_once_as_many_were() {
        let board = Notifications::default();
        board.expect(2);
        board.tell(event("1"));
        assert_eq!(board.count(), 1);
        board.tell(event("1"));
        let (times, told) = board.all_told().await.unwrap();
        assert_eq!((times.len(), told), (2, event("1")));
    }

    #[tokio::test]
    async fn who_is_told_something_else_or_too_much_is_no_success() {
        let board = Notifications::default();
        board.expect(2);
        board.tell(event("1"));
        board.tell(event("2"));
        assert!(board.all_told().await.is_err());

        let board = Notifications::default();
        board.expect(1);
        board.tell(event("1"));
        board.tell(event("1"));
        assert!(board.all_told().await.is_err());
    }
}
