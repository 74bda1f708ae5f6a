//! The rounds as a table, and the ratios within each.

use std::fmt::Write;
use std::time::Duration;

use super::{Measured, Options, Round};
use crate::load::Load;
use crate::options::Effort;
use crate::spread::Spread;

type Ratio = fn(&Round) -> f64;

pub(super) fn write(
    measured: &Measured,
    title: &str,
    machine: &str,
    database: &str,
    options: &Options,
) -> String {
    let Measured { rounds, to_answer, to_event } = measured;
    let mut text = format!(
        "
| {title} | a second | least to most | p50 ms | p99 ms |
|---|---:|---:|---:|---:|
"
    );
    for (what, load) in [("without an endpoint", without as fn(&Round) -> &Load), ("with an endpoint", with)]
    {
        let rate = spread(rounds, |round| load(round).per_second());
        let [p50, p99] = [50, 99].map(|percent| spread(rounds, |round| latency(load(round), percent)).median);
        let _ = writeln!(
            text,
            "| **webhooks, {what}** | {:.0} | {:.0} to {:.0} | {p50:.2} | {p99:.2} |",
            rate.median, rate.least, rate.most
        );
    }
    let events = spread(rounds, |round| round.events_per_second);
    let _ = writeln!(
        text,
        "| **events received** | {:.0} | {:.0} to {:.0} | | |",
        events.median, events.least, events.most
    );
    for (what, load) in [("a webhook to its 200", to_answer), ("a webhook to its event", to_event)] {
        let _ = writeln!(text, "| **{what}** | | | {:.2} | {:.2} |", latency(load, 50), latency(load, 99));
    }
    text.push('\n');
    let ratios: [(&str, Ratio); 2] = [
        ("webhooks with an endpoint / without", |round| round.with.per_second() / round.without.per_second()),
        ("events / webhooks with an endpoint", |round| round.events_per_second / round.with.per_second()),
    ];
    for (what, ratio) in ratios {
        let Spread { least, median, most } = spread(rounds, ratio);
        let _ = writeln!(text, "- {what}: **{median:.2}** ({least:.2} to {most:.2} in a round)");
    }
    let Effort { connections, seconds } = options.effort;
    let _ = write!(
        text,
        "\n{machine}; {database}; {connections} connections, {} rounds of {seconds} s each in turn, medians; {} webhooks one after the other",
        rounds.len(),
        options.single,
    );
    text
}

fn without(round: &Round) -> &Load {
    &round.without
}

fn with(round: &Round) -> &Load {
    &round.with
}

fn spread(rounds: &[Round], what: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(what))
}

fn latency(load: &Load, percent: usize) -> f64 {
    let latency: Duration = load.percentile(percent);
    latency.as_secs_f64() * 1000.0
}
