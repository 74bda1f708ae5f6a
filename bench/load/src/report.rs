//! The measurement as Markdown, to be read in a terminal or kept in `bench/results/`.

use std::fmt::Write;
use std::time::Duration;

use crate::machine::Memory;
use crate::measure::{Measured, Route};
use crate::options::Effort;

/// Past this share of its one thread the generator may be what limits.
pub(crate) const BUSY: f64 = 0.9;

/// All programs in one table, and the machine below it.
pub(crate) fn write(
    programs: &[Measured],
    machine: &str,
    database: &str,
    effort: Effort,
    starts: u32,
) -> String {
    let mut text = String::from(
        "
| | requests/s | p50 ms | p99 ms | program CPU µs | generator CPU µs | others CPU µs | generator busy |
|---|---:|---:|---:|---:|---:|---:|---:|
",
    );
    for program in programs {
        let _ = writeln!(text, "| **{}** | | | | | | | |", program.title);
        for route in &program.routes {
            let _ = writeln!(text, "{}", line(route));
        }
    }
    text.push_str(
        "
| | first start ms | later start ms | memory idle MiB | memory after load MiB | memory highest MiB |
|---|---:|---:|---:|---:|---:|
",
    );
    for Measured { title, first_start, later_start, idle, loaded, .. } in programs {
        let (first, later) = (milliseconds(*first_start), milliseconds(*later_start));
        let (idle_now, loaded_now) = (mebibytes(*idle, |it| it.now), mebibytes(*loaded, |it| it.now));
        let highest = mebibytes(*loaded, |it| it.highest);
        let _ = writeln!(text, "| **{title}** | {first} | {later} | {idle_now} | {loaded_now} | {highest} |");
    }
    let payload = programs.first().map_or(0, |program| program.payload);
    let Effort { connections, seconds } = effort;
    let _ = write!(
        text,
        "\n{machine}; {database}; {connections} connections, {seconds} s a route, {starts} starts, deliveries of {payload} bytes"
    );
    for note in programs.iter().flat_map(|program| &program.routes).flat_map(notes) {
        let _ = write!(text, "\n\nNOTE: {note}");
    }
    text
}

fn line(route: &Route) -> String {
    let Route { name, load, processor } = route;
    let each = |time: Duration| {
        format!("{:.0}", time.as_secs_f64() * 1_000_000.0 / f64::from(load.answered().max(1)))
    };
    let [program, generator, others] = processor.map_or_else(
        || [(); 3].map(|()| "?".to_owned()),
        |used| [used.program, used.generator, used.others()].map(each),
    );
    let busy = busy(route).map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0));
    format!(
        "| {name} | {:.0} | {} | {} | {program} | {generator} | {others} | {busy} |",
        load.per_second(),
        milliseconds(load.percentile(50)),
        milliseconds(load.percentile(99)),
    )
}

/// How much of its one thread the generator used.
fn busy(route: &Route) -> Option<f64> {
    Some(route.processor?.generator.as_secs_f64() / route.load.elapsed.as_secs_f64())
}

fn notes(route: &Route) -> Vec<String> {
    let Route { name, load, .. } = route;
    let mut notes = Vec::new();
    if let Some(failure) = &load.failure {
        notes.push(format!("{name}: {} requests FAILED, first: {failure}", load.failures));
    }
    if busy(route).is_some_and(|share| share > BUSY) {
        notes.push(format!("{name}: the generator was busy all the time; the program may do more"));
    }
    if load.ran_out {
        let seconds = load.elapsed.as_secs_f64();
        notes.push(format!("{name}: ended after {seconds:.1} s, for there were no more deliveries"));
    }
    notes
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn mebibytes(memory: Option<Memory>, which: impl Fn(Memory) -> u64) -> String {
    memory.map_or_else(
        || "?".to_owned(),
        |memory| {
            let tenths = which(memory) * 10 / (1024 * 1024);
            format!("{}.{}", tenths / 10, tenths % 10)
        },
    )
}
