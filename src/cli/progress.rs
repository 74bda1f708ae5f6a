//! How far long work is.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often work that nobody watches says how far it is.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bar where somebody watches, plain lines where a log does.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    said: Cell<Instant>,
}

impl Progress {
    pub(super) fn new(total: u64, what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({per_sec}, {eta} left)");
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(what)
        });
        Self { bar, what, total, said: Cell::new(Instant::now()) }
    }

    pub(super) fn at(&self, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.said.get().elapsed() >= LINE_EVERY => {
                eprintln!("{done} of {} {}", self.total, self.what);
                self.said.set(Instant::now());
            }
            None => {}
        }
    }

    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
