//! The streams as two tables in Markdown: what they cost, and how soon they are told.

use std::fmt::Write;
use std::time::Duration;

use super::{Measured, Options, Round};
use crate::machine::Processor;
use crate::spread::Spread;

pub(super) fn write(
    all: &[Measured],
    title: &str,
    machine: &str,
    database: &str,
    options: &Options,
) -> String {
    let streams = options.streams;
    let mut text = format!(
        "
| {streams} streams of | memory before MiB | with streams MiB | for each KiB | opened in s | idle, share of a core |
|---|---:|---:|---:|---:|---:|
"
    );
    for measured in all {
        let _ = writeln!(text, "{}", cost(measured, streams));
    }
    text.push_str(
        "
| one webhook, streams of | told | sent to 200 ms | sent to last told ms | 200 to half told ms | 200 to last told ms | least to most | program CPU ms | PostgreSQL CPU ms |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
",
    );
    for measured in all {
        let _ = writeln!(text, "{}", soon(measured));
    }
    let place = if options.replica { "webhooks to one replica, streams at another" } else { "one replica" };
    let _ = write!(
        text,
        "\n{title}; {machine}; {database}; {place}; {} webhooks, medians; idle for {} s",
        options.webhooks, options.idle_seconds
    );
    text
}

fn cost(measured: &Measured, streams: u32) -> String {
    let Measured { followed, opened, before, after, idle, idle_for, .. } = measured;
    let mebibytes = |bytes: u64| format!("{:.1}", kibibytes(bytes) / 1024.0);
    let [before_told, after_told, each] = before.zip(*after).map_or_else(
        || [(); 3].map(|()| "?".to_owned()),
        |(before, after)| {
            let each = kibibytes(after.now.saturating_sub(before.now)) / f64::from(streams);
            [mebibytes(before.now), mebibytes(after.now), format!("{each:.1}")]
        },
    );
    let idle = idle.map_or_else(
        || "?".to_owned(),
        |used| format!("{:.1} %", used.program.as_secs_f64() / idle_for.as_secs_f64() * 100.0),
    );
    format!(
        "| **{followed}** | {before_told} | {after_told} | {each} | {:.1} | {idle} |",
        opened.as_secs_f64()
    )
}

fn soon(measured: &Measured) -> String {
    let spread = |what: fn(&Round) -> f64| Spread::of(measured.rounds.iter().map(what));
    let told = measured.rounds.first().map_or(0, |round| round.told.len());
    let answered = spread(|round| round.answered.as_secs_f64() * 1000.0);
    let in_all = spread(|round| {
        round.answered.as_secs_f64() * 1000.0 + round.told.last().copied().unwrap_or_default()
    });
    let half = spread(|round| round.told.get(round.told.len() / 2).copied().unwrap_or_default());
    let last = spread(|round| round.told.last().copied().unwrap_or_default());
    let used = |which: fn(Processor) -> Duration| {
        let each = measured.rounds.iter().map(|round| round.processor.map_or(Duration::ZERO, which));
        Spread::of(each.map(|time| time.as_secs_f64() * 1000.0)).median
    };
    format!(
        "| **{}** | {told} | {:.2} | {:.2} | {:.2} | **{:.2}** | {:.2} to {:.2} | {:.0} | {:.0} |",
        measured.followed,
        answered.median,
        in_all.median,
        half.median,
        last.median,
        last.least,
        last.most,
        used(|it| it.program),
        used(|it| it.server)
    )
}

#[expect(clippy::cast_precision_loss, reason = "a process has less than 2^52 bytes")]
fn kibibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}
