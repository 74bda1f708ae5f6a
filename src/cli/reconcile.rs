//! `usersync reconcile`: compares the table with a provider's list, and repairs it if asked.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::Usage;
use super::pulling::{Origin, Pulling};
use super::run_bar::RunBar;
use crate::clock::Clock;
use crate::providers::Source;
use crate::pull::{Difference, Drift, ReconcileOptions, Report};

/// Ids of one kind that are printed.
const IDS_PRINTED: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// The sources that are compared [default: every source that has [sources.api] or [sources.list]]
    sources: Vec<String>,
    /// Write the users who are missing here or different
    #[arg(long)]
    repair: bool,
    /// Delete the users of whom the provider says that they are gone
    #[arg(long)]
    delete: bool,
    /// Allow so many deletions [default: 10, or 5 % of the rows if that is more]
    #[arg(long, value_name = "N", requires = "delete")]
    max_deletions: Option<u64>,
    /// Print one JSON object for each source
    #[arg(long)]
    json: bool,
}

/// How a reconciliation ended; the worst of several sources counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    InStep,
    Drift,
    /// The list was not read to its end, or a guard refused.
    Unknown,
}

impl Reconcile {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<ExitCode> {
        let pulling = Pulling::open(config, &self.sources, Origin::Api, clock).await?;
        let result = pulling.until_signalled(self.compare_all(&pulling)).await;
        pulling.close().await?;
        Ok(match result? {
            Verdict::InStep => ExitCode::SUCCESS,
            Verdict::Drift => ExitCode::FAILURE,
            Verdict::Unknown => ExitCode::from(3),
        })
    }

    async fn compare_all(&self, pulling: &Pulling) -> anyhow::Result<Verdict> {
        let mut worst = Verdict::InStep;
        for source in pulling.sources() {
            worst = worst.max(self.compare(pulling, source).await?);
        }
        Ok(worst)
    }

    async fn compare(&self, pulling: &Pulling, source: &Source) -> anyhow::Result<Verdict> {
        let options = ReconcileOptions {
            repair: self.repair,
            delete: self.delete,
            max_deletions: self.max_deletions,
            requests_per_second: pulling.requests_per_second(source),
        };
        let mut progress = RunBar::new(source.name());
        // Boxed: it is large.
        let result = Box::pin(pulling.puller.reconcile(source, &options, &mut progress)).await;
        progress.finish();
        match result {
            Ok(report) => {
                if self.json {
                    say!("{}", report.to_json());
                } else {
                    self.print(&report);
                }
                Ok(match &report.refused {
                    Some(_) => Verdict::Unknown,
                    None if report.is_in_step() => Verdict::InStep,
                    None => Verdict::Drift,
                })
            }
            Err(error) if error.is_setup() => bail!(Usage(format!("{}: {error}", source.name()))),
            Err(error) => {
                if self.json {
                    let mut report = Report::new(source.name());
                    report.refused = Some(error.to_string());
                    say!("{}", report.to_json());
                }
                let again =
                    if error.may_pass() { "; run it again, it continues where it stopped" } else { "" };
                eprintln!("{}: the comparison did not finish: {error}{again}", source.name());
                Ok(Verdict::Unknown)
            }
        }
    }

    fn print(&self, report: &Report) {
        let Report { source, provider, rows, deleted, drift, .. } = report;
        let Drift { missing, different, repaired, deleted_here } = drift;
        say!("{source}: {provider} users at the provider, {rows} rows here");
        let fields = |one: &Difference| format!("{} ({})", one.external_id, one.fields.join(", "));
        list("missing here", missing.count, missing.first.iter().cloned());
        list("different here", different.count, different.first.iter().map(fields));
        let extra = report.extra.len() as u64;
        list("here, but gone at the provider", extra, report.extra.iter().map(|(id, _)| id.clone()));
        let not_listed = &report.not_listed;
        list(
            "at the provider by id, but not in its list",
            not_listed.len() as u64,
            not_listed.iter().cloned(),
        );
        if *repaired + *deleted > 0 {
            say!("{repaired} repaired, {deleted} deleted");
        }
        if let Some(refused) = &report.refused {
            say!("it cannot be told who is gone: {refused}");
        } else if report.is_in_step() {
            say!("the table is in step with the provider");
        } else {
            if *deleted_here > 0 {
                say!(
                    "{deleted_here} of the missing users were deleted here, which no list undoes: see \
                     \"Deleted here, but not at the provider\" in docs/import.md"
                );
            }
            if missing.count + different.count > *deleted_here && !self.repair {
                say!("usersync reconcile {source} --repair writes who is missing or different");
            }
            if !self.delete && extra > 0 {
                say!("usersync reconcile {source} --delete deletes who is gone");
            }
        }
    }
}

fn list(what: &str, count: u64, ids: impl Iterator<Item = String>) {
    if count == 0 {
        return;
    }
    say!("{count} {what}:");
    for id in ids.take(IDS_PRINTED) {
        say!("  {id}");
    }
    if count > IDS_PRINTED as u64 {
        say!("  and {} more; --json has up to a thousand", count - IDS_PRINTED as u64);
    }
}
