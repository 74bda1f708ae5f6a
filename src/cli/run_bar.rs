//! The progress of a run through a provider's list.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::printable;
use super::progress::{rounded, style};
use crate::pull::Progress;
use crate::store::RunCounts;

/// How often a line is printed where standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// A bar on a terminal, with rate and time left where the number of users is known; a line every ten seconds elsewhere.
pub(super) struct RunProgressBar {
    on_terminal: Option<ProgressBar>,
    source: String,
    pub(super) counts: RunCounts,
    started: Instant,
    first: Option<u64>,
    last_line: Instant,
}

impl RunProgressBar {
    pub(super) fn new(source: &str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let on_terminal = is_terminal.then(|| {
            let bar = ProgressBar::new_spinner().with_message(source.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Self {
            on_terminal,
            source: source.to_owned(),
            counts: RunCounts::default(),
            started: now,
            first: None,
            last_line: now,
        }
    }

    fn line(&mut self, text: &str) {
        if self.last_line.elapsed() >= LINE_INTERVAL {
            say_error!("{}: {text}", self.source);
            self.last_line = Instant::now();
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.on_terminal {
            bar.finish_and_clear();
        }
    }
}

impl Progress for RunProgressBar {
    fn read(&mut self, counts: RunCounts, total: Option<u64>) {
        self.counts = counts;
        let first = *self.first.get_or_insert(counts.seen);
        if let Some(bar) = &self.on_terminal {
            if let Some(total) = total.filter(|total| bar.length() != Some(*total)) {
                bar.set_length(total);
                bar.set_style(style("{msg} {bar:40} {pos}/{len} users ({rate}/s, {eta} left)"));
                bar.reset_eta();
            }
            if total.is_none() {
                bar.set_style(style("{msg} {spinner} {pos} users ({rate}/s)"));
            }
            bar.set_position(counts.seen);
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (counts.seen - first) as f64 / seconds.max(0.001);
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a time for people")]
        let left = total
            .filter(|_| rate > 0.0)
            .map(|total| format!(", about {:.0} s left", total.saturating_sub(counts.seen) as f64 / rate))
            .unwrap_or_default();
        self.line(&format!("{}{of} users read, {} per second{left}", counts.seen, rounded(rate)));
    }

    fn preparing(&mut self, percent: Option<u64>) {
        let text = match percent {
            Some(percent) => format!("the provider is preparing its list: {percent} %"),
            None => "the provider is preparing its list".to_owned(),
        };
        match &self.on_terminal {
            Some(bar) => bar.set_message(format!("{}: {text}", self.source)),
            None => self.line(&text),
        }
    }

    fn note(&mut self, text: &str) {
        let line = format!("{}: {text}", self.source);
        match &self.on_terminal {
            Some(bar) => bar.println(printable(&line)),
            None => say_error!("{line}"),
        }
    }
}
