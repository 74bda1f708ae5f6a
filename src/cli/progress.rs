//! The progress of long work.

use std::cell::Cell;
use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

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
            ProgressBar::new(0).with_style(style("{bar:40} {pos}/{len}+ {msg} ({rate}/s)")).with_message(what)
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
            bar.set_style(style("{bar:40} {pos}/{len} {msg} ({rate}/s, {eta} left)"));
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

/// The style of a bar, where `{rate}` is rounded.
pub(super) fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
        // A text in memory, which takes everything.
        text.write_str(&rounded(state.per_sec())).unwrap_or_default();
    })
}

/// A rate as people read it: a whole number, and one decimal below ten.
pub(super) fn rounded(rate: f64) -> String {
    if rate < 9.95 {
        return format!("{rate:.1}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative")]
    let whole = rate.round() as u64;
    HumanCount(whole).to_string()
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_rate_is_rounded() {
        for (rate, text) in
            [(1438.6548, "1,439"), (0.0, "0.0"), (9.94, "9.9"), (9.96, "10"), (123_456.4, "123,456")]
        {
            assert_eq!(rounded(rate), text);
        }
    }
}
