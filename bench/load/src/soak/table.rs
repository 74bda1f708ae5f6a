//! The result as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::app::Received;
use super::audit::Audited;
use super::growth::Growth;
use super::ledger::Counts;
use super::observer::Sample;

/// All that is reported.
pub(super) struct Outcome {
    pub(super) commit: String,
    pub(super) seed: u64,
    pub(super) lasted: Duration,
    pub(super) machine: String,
    pub(super) database: String,
    pub(super) disk: &'static str,
    pub(super) clock: bool,
    pub(super) disturbances: BTreeMap<&'static str, u64>,
    pub(super) counts: Counts,
    pub(super) starts: Vec<u32>,
    pub(super) feed_events: u64,
    pub(super) app: Received,
    pub(super) audited: Audited,
    pub(super) growth: Option<Growth>,
    /// Without load: the process that ran at the end, and a new one.
    pub(super) idle: Option<(Sample, Sample)>,
    pub(super) violations: Vec<String>,
    pub(super) violated: u64,
}

pub(super) fn write(outcome: &Outcome) -> String {
    let mut text = String::from("\n| what | count |\n|---|---:|\n");
    for (what, count) in rows(outcome) {
        let _ = writeln!(text, "| {what} | {count} |");
    }
    let Outcome { commit, seed, lasted, machine, database, disk, clock, .. } = outcome;
    let clock = if *clock {
        "the clock by libfaketime"
    } else {
        "no steps of the clock: libfaketime is not installed"
    };
    let _ = write!(
        text,
        "\nusersync {commit}; {machine}; {database}; {} replicas, {} s, seed {seed}; full disk: {disk}; {clock}\n\n",
        outcome.starts.len(),
        lasted.as_secs(),
    );
    if outcome.violated == 0 {
        text.push_str("**Nothing is violated.**");
        return text;
    }
    let _ = writeln!(text, "**{} VIOLATIONS:**\n", outcome.violated);
    for violation in &outcome.violations {
        let _ = writeln!(text, "- {violation}");
    }
    text
}

fn rows(outcome: &Outcome) -> Vec<(String, String)> {
    let Outcome { counts, audited, app, .. } = outcome;
    let mut rows = Vec::new();
    let mut add = |what: String, count: String| rows.push((what, count));
    for (result, count) in &counts.acknowledged {
        add(format!("deliveries acknowledged: {result}"), count.to_string());
    }
    for ((what, status), count) in &counts.refused {
        add(format!("{what}: {status}"), count.to_string());
    }
    for (what, count) in &counts.unanswered {
        add(format!("{what}: no answer"), count.to_string());
    }
    for (what, count) in counts.others.iter().chain(&outcome.disturbances) {
        add((*what).to_owned(), count.to_string());
    }
    for (replica, starts) in outcome.starts.iter().enumerate() {
        add(format!("starts of replica {replica}"), starts.to_string());
    }
    add("events read from the feed".to_owned(), outcome.feed_events.to_string());
    add("events taken by the app / repeated / refused by it".to_owned(), {
        format!("{} / {} / {}", app.taken, app.repeated, app.failed)
    });
    add("audited: deliveries in the journal".to_owned(), audited.journaled.to_string());
    add("audited: of these parked, as they cannot be read".to_owned(), audited.parked.to_string());
    add("audited: rows".to_owned(), audited.rows.to_string());
    add("audited: tombstones".to_owned(), audited.tombstones.to_string());
    match &outcome.growth {
        Some(growth) => {
            let Growth { age, early, late, early_descriptors, late_descriptors } = growth;
            add("age of the process of replica 0, s".to_owned(), age.as_secs().to_string());
            let resident = format!("{} → {} ({} %)", mebibytes(*early), mebibytes(*late), growth.percent());
            add("its resident memory after a quarter of its life → at the end, MiB".to_owned(), resident);
            add(
                "its descriptors then, under load".to_owned(),
                format!("{early_descriptors} → {late_descriptors}"),
            );
        }
        None => add("memory".to_owned(), "not compared: no process lived long enough".to_owned()),
    }
    if let Some((old, new)) = &outcome.idle {
        let descriptors = format!("{} / {}", old.descriptors, new.descriptors);
        add("descriptors without load: this process / a new one".to_owned(), descriptors);
        let files = format!("{} / {}", old.database_files, new.database_files);
        add("files of SQLite's database, without load: this process / a new one".to_owned(), files);
        let resident = format!("{} / {}", mebibytes(old.resident), mebibytes(new.resident));
        add("resident memory without load: this process / a new one, MiB".to_owned(), resident);
    }
    rows
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{}", tenths / 10, tenths % 10)
}
