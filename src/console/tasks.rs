//! Work that goes on after the answer to its form: runs and replays. What it has done is shown by the process that does it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The work that was started in this process, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<BTreeMap<String, Task>>>);

/// Some work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    /// How much is done.
    pub(super) done: u64,
    /// Its end, in words; an error if it has failed. `None` while it goes on.
    pub(super) result: Option<Result<String, String>>,
}

/// The right to do some work, and to tell of it.
#[derive(Debug)]
pub(super) struct Working {
    tasks: Tasks,
    name: String,
    /// The same work the last time.
    before: Option<Task>,
    is_started: bool,
}

impl Tasks {
    /// The right to do some work; `None` if the same is going on.
    pub(super) fn begin(&self, name: &str) -> Option<Working> {
        let mut tasks = self.lock();
        if tasks.get(name).is_some_and(|task| task.result.is_none()) {
            return None;
        }
        let before = tasks.insert(name.to_owned(), Task::default());
        Some(Working { tasks: self.clone(), name: name.to_owned(), before, is_started: false })
    }

    /// What is known of some work.
    pub(super) fn get(&self, name: &str) -> Option<Task> {
        self.lock().get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Task>> {
        // Nothing is left half-written under the lock, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Working {
    /// Starts the work. If this is dropped before, what was known before is shown again.
    pub(super) fn start(mut self) -> Self {
        self.is_started = true;
        self
    }

    pub(super) fn progress(&self, done: u64) {
        if let Some(task) = self.tasks.lock().get_mut(&self.name) {
            task.done = done;
        }
    }

    pub(super) fn end(self, result: Result<String, String>) {
        self.set(result);
    }

    fn set(&self, result: Result<String, String>) {
        if let Some(task) = self.tasks.lock().get_mut(&self.name) {
            task.result.get_or_insert(result);
        }
    }
}

impl Drop for Working {
    /// Work that ended without a word was stopped with the service, or has panicked.
    fn drop(&mut self) {
        if self.is_started {
            self.set(Err("stopped before its end".to_owned()));
            return;
        }
        let mut tasks = self.tasks.lock();
        match self.before.take() {
            Some(before) => tasks.insert(std::mem::take(&mut self.name), before),
            None => tasks.remove(&self.name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Tasks;

    #[test]
    fn the_same_work_is_done_once_at_a_time() {
        let tasks = Tasks::default();
        let working = tasks.begin("replay").unwrap().start();
        assert!(tasks.begin("replay").is_none() && tasks.begin("another").is_some());
        working.progress(7);
        assert_eq!(tasks.get("replay").unwrap().done, 7);
        working.end(Ok("7 applied".to_owned()));
        assert_eq!(tasks.get("replay").unwrap().result, Some(Ok("7 applied".to_owned())));
        drop(tasks.begin("replay").unwrap().start());
        assert!(tasks.get("replay").unwrap().result.unwrap().is_err());
    }

    #[test]
    fn work_that_was_not_started_leaves_what_was_known_before() {
        let tasks = Tasks::default();
        drop(tasks.begin("replay").unwrap());
        assert_eq!(tasks.get("replay"), None);
        tasks.begin("replay").unwrap().start().end(Ok("7 applied".to_owned()));
        drop(tasks.begin("replay").unwrap());
        assert_eq!(tasks.get("replay").unwrap().result, Some(Ok("7 applied".to_owned())));
    }
}
