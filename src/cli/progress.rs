//! The progress of long work.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed where standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// A progress bar on a terminal; a line every few seconds elsewhere, such as in a log. The total is counted meanwhile.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: Cell<u64>,
    is_total_known: Cell<bool>,
    last_line: Cell<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            ProgressBar::new(0)
                .with_style(style("{bar:40} {pos}/{len}+ {msg} ({per_sec})"))
                .with_message(what)
        });
        let (total, is_total_known) = (Cell::new(0), Cell::new(false));
        Self { bar, what, total, is_total_known, last_line: Cell::new(Instant::now()) }
    }

    /// There are this many, or more.
    pub(super) fn set_total(&self, total: u64) {
        self.total.set(total);
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// There are no more.
    pub(super) fn total_is_known(&self) {
        self.is_total_known.set(true);
        if let Some(bar) = &self.bar {
            bar.set_style(style("{bar:40} {pos}/{len} {msg} ({per_sec}, {eta} left)"));
        }
    }

    /// Shows that this many are done.
    pub(super) fn update(&self, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.last_line.get().elapsed() >= LINE_INTERVAL => {
                let or_more = if self.is_total_known.get() { "" } else { " or more" };
                eprintln!("{done} of {}{or_more} {}", self.total.get(), self.what);
                self.last_line.set(Instant::now());
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
