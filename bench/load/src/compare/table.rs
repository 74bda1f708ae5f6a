//! The rounds as a table, and as ratios of what stood beside each other in one.

use std::fmt::Write;
use std::time::Duration;

use super::contestant::ProgramSpec;
use super::{Round, Route};
use crate::machine::{self, Processor};
use crate::options::Effort;
use crate::report::BUSY;
use crate::spread::Spread;

/// All turns of one contestant.
pub(super) struct Row {
    pub(super) title: &'static str,
    own: bool,
    pub(super) rounds: Vec<Round>,
}

impl Row {
    pub(super) fn of(contestant: &ProgramSpec) -> Self {
        Self { title: contestant.title, own: contestant.own, rounds: Vec::new() }
    }

    fn spread(&self, what: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(what))
    }

    /// Of what stood beside each other in a round.
    fn ratio(&self, other: &Self, what: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, theirs)| what(own) / what(theirs)))
    }
}

pub(super) fn write(route: Route, rows: &[Row], database: &str, effort: Effort) -> String {
    let unit = match route {
        Route::Webhooks => "acknowledged/s",
        Route::CurrentUser => "requests/s",
    };
    let mut text = format!(
        "
| | {unit} | least to most | p50 ms | p99 ms | program CPU µs | PostgreSQL CPU µs | generator CPU µs | others CPU µs |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"
    );
    for row in rows {
        let _ = writeln!(text, "{}", line(row));
    }
    text.push('\n');
    for own in rows.iter().filter(|row| row.own) {
        for peer in rows.iter().filter(|row| !row.own) {
            let more = own.ratio(peer, |round| round.load.per_second());
            let later = own.ratio(peer, |round| latency(round, 99));
            let _ = writeln!(
                text,
                "- {} / {}: **{:.2}** times the {unit} ({:.2} to {:.2} in a round), {:.2} times the p99 ({:.2} to {:.2})",
                own.title,
                peer.title,
                more.median,
                more.least,
                more.most,
                later.median,
                later.least,
                later.most
            );
        }
    }
    let rounds = rows.first().map_or(0, |row| row.rounds.len());
    let Effort { connections, seconds } = effort;
    let _ = write!(
        text,
        "\n{}; {database}; {connections} connections, {rounds} rounds of {seconds} s each in turn, medians",
        machine::describe(),
    );
    for row in rows.iter().filter(|row| row.spread(generator_share).median > BUSY) {
        let _ = write!(
            text,
            "\n\nNOTE: {}: the generator was busy all the time; the program may do more",
            row.title
        );
    }
    text
}

fn line(row: &Row) -> String {
    let rate = row.spread(|round| round.load.per_second());
    let (p50, p99) = (row.spread(|round| latency(round, 50)), row.spread(|round| latency(round, 99)));
    let mut text = format!(
        "| **{}** | {:.0} | {:.0} to {:.0} | {:.2} | {:.2} |",
        row.title, rate.median, rate.least, rate.most, p50.median, p99.median
    );
    let used: [fn(Processor) -> Duration; 4] =
        [|it| it.program, |it| it.server, |it| it.generator, Processor::others];
    for which in used {
        let each = row.spread(|round| {
            let time = round.processor.map_or(Duration::ZERO, which).as_secs_f64();
            time * 1_000_000.0 / f64::from(round.load.answered().max(1))
        });
        let _ = write!(text, " {:.1} |", each.median);
    }
    text
}

fn latency(round: &Round, percent: usize) -> f64 {
    round.load.percentile(percent).as_secs_f64() * 1000.0
}

/// How much of one thread the generator used.
fn generator_share(round: &Round) -> f64 {
    let time = round.processor.map_or(Duration::ZERO, |used| used.generator);
    time.as_secs_f64() / round.load.elapsed.as_secs_f64()
}
