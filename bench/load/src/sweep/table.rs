//! The rounds as a table, and the ratio within each.

use std::fmt::Write;

use super::{Options, Round};
use crate::load::Load;
use crate::options::Effort;
use crate::spread::Spread;

type Ratio = fn(&Round) -> f64;

pub(super) fn write(rounds: &[Round], machine: &str, database: &str, options: &Options) -> String {
    let mut text =
        String::from("\n| | a second | p50 ms | p99 ms | p99 least to most |\n|---|---:|---:|---:|---:|\n");
    for (what, load) in [
        ("webhooks, nothing is erased", without as fn(&Round) -> &Load),
        ("webhooks, during a sweep", during),
    ] {
        let rate = spread(rounds, |round| load(round).per_second()).median;
        let p50 = spread(rounds, |round| latency(load(round), 50)).median;
        let p99 = spread(rounds, |round| latency(load(round), 99));
        let _ = writeln!(
            text,
            "| **{what}** | {rate:.0} | {p50:.2} | {:.2} | {:.2} to {:.2} |",
            p99.median, p99.least, p99.most
        );
    }
    let erased = spread(rounds, |round| round.erased_per_second);
    let _ = writeln!(text, "| **payloads erased** | {:.0} | | | |\n", erased.median);
    let ratios: [(&str, Ratio); 2] = [("p99", ratio_of_p99), ("webhooks a second", ratio_of_rate)];
    for (what, ratio) in ratios {
        let Spread { least, median, most } = spread(rounds, ratio);
        let _ = writeln!(
            text,
            "- {what}, during a sweep / without: **{median:.2}** ({least:.2} to {most:.2} in a round)"
        );
    }
    let Effort { connections, seconds } = options.effort;
    let replicas = if options.replica { "two replicas, the other one erases" } else { "one replica" };
    let _ = write!(
        text,
        "\n{machine}; {database}; {replicas}; {connections} connections, {} rounds of {seconds} s each in turn, medians; \
         {} old payloads",
        rounds.len(),
        options.payloads,
    );
    text
}

pub(super) fn summary(round: &Round) -> String {
    format!(
        "p99 {:.2} ms without, {:.2} ms during a sweep of {:.0} payloads/s",
        latency(&round.without, 99),
        latency(&round.during, 99),
        round.erased_per_second
    )
}

fn without(round: &Round) -> &Load {
    &round.without
}

fn during(round: &Round) -> &Load {
    &round.during
}

fn ratio_of_p99(round: &Round) -> f64 {
    latency(&round.during, 99) / latency(&round.without, 99)
}

fn ratio_of_rate(round: &Round) -> f64 {
    round.during.per_second() / round.without.per_second()
}

fn spread(rounds: &[Round], what: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(what))
}

fn latency(load: &Load, percent: usize) -> f64 {
    load.percentile(percent).as_secs_f64() * 1000.0
}
