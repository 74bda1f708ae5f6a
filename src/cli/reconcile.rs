//! `usersync reconcile`: compares the table with a provider's list, and repairs it if requested.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::pulling::{PullCommand, UserSource};
use super::run_bar::RunProgressBar;
use super::{Usage, is_usage, print_error};
use crate::clock::Clock;
use crate::providers::Source;
use crate::pull::{Difference, Drift, PullError, ReconcileOptions, Report};

/// Ids of one kind that are printed.
const IDS_PRINTED: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// The sources that are compared [default: every source that has [sources.api] or [sources.list]]
    sources: Vec<String>,
    /// Write rows that are missing or different
    #[arg(long)]
    repair: bool,
    /// Delete users who no longer exist at the provider
    #[arg(long)]
    delete: bool,
    /// Allow this many deletions [default: 10, or 5 % of the rows if that is more]
    #[arg(long, value_name = "N", requires = "delete")]
    max_deletions: Option<u64>,
    /// Print one JSON object for each source
    #[arg(long)]
    json: bool,
}

/// How a reconciliation ended; the worst of several sources counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Matches,
    Differs,
    /// The list was not read to its end, or a check refused to delete.
    Incomplete,
}

impl Reconcile {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<ExitCode> {
        let outcome = match self.compare_sources(config, clock).await {
            // 1 would say that the table differs.
            Err(error) if !is_usage(&error) => {
                print_error(&error);
                Outcome::Incomplete
            }
            result => result?,
        };
        Ok(match outcome {
            Outcome::Matches => ExitCode::SUCCESS,
            Outcome::Differs => ExitCode::FAILURE,
            Outcome::Incomplete => ExitCode::from(3),
        })
    }

    async fn compare_sources(&self, config: Option<&Path>, clock: Clock) -> anyhow::Result<Outcome> {
        let pulling = PullCommand::open(config, &self.sources, UserSource::Api, clock).await?;
        let result = pulling.until_signalled(self.compare_all(&pulling)).await;
        pulling.close().await?;
        result
    }

    async fn compare_all(&self, pulling: &PullCommand) -> anyhow::Result<Outcome> {
        let mut worst = Outcome::Matches;
        for source in pulling.sources() {
            worst = worst.max(self.compare(pulling, source).await?);
        }
        Ok(worst)
    }

    async fn compare(&self, pulling: &PullCommand, source: &Source) -> anyhow::Result<Outcome> {
        let options = ReconcileOptions {
            repair: self.repair,
            delete: self.delete,
            max_deletions: self.max_deletions,
            requests_per_second: pulling.requests_per_second(source),
        };
        let mut progress = RunProgressBar::new(source.name());
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
                    Some(_) => Outcome::Incomplete,
                    None if report.matches_provider() => Outcome::Matches,
                    None => Outcome::Differs,
                })
            }
            Err(error @ PullError::NoApi(_)) => bail!(Usage(format!("{}: {error}", source.name()))),
            Err(error) => {
                if self.json {
                    let mut report = Report::new(source.name());
                    report.refused = Some(error.to_string());
                    say!("{}", report.to_json());
                }
                let again = if error.may_pass() {
                    "; run the command again: it continues where it stopped"
                } else {
                    ""
                };
                say_error!("{}: not finished: {error}{again}", source.name());
                Ok(Outcome::Incomplete)
            }
        }
    }

    fn print(&self, report: &Report) {
        let Report { source, provider, rows, deleted, drift, .. } = report;
        let Drift { missing, different, repaired, deleted_here } = drift;
        say!("{source}: {provider} users at the provider, {rows} rows here");
        let fields = |one: &Difference| format!("{} ({})", one.external_id, one.fields.join(", "));
        list("missing (at the provider, no row here)", missing.count, missing.first.iter().cloned());
        list("different (row and provider differ)", different.count, different.first.iter().map(fields));
        let extra = report.extra.len() as u64;
        list(
            if report.unconfirmed {
                "extra (row here, not in the provider's list; not confirmed)"
            } else {
                "extra (row here, no such user at the provider)"
            },
            extra,
            report.extra.iter().map(|(id, _)| id.clone()),
        );
        let not_listed = &report.not_listed;
        list(
            "notListed (at the provider, but not in its list)",
            not_listed.len() as u64,
            not_listed.iter().cloned(),
        );
        if !not_listed.is_empty() {
            let updated = if self.repair && report.refused.is_none() {
                "they are up to date"
            } else {
                "--repair updates them"
            };
            say!("the provider finds these users by id, so their rows stay; {updated}");
        }
        if report.recent > 0 {
            say!(
                "{} more rows are not in the provider's list. They are too recent: a user who has just signed up may \
                 not be in the list yet, so these rows stay until the next comparison",
                report.recent
            );
        }
        if *repaired + *deleted > 0 {
            say!("{repaired} repaired, {deleted} deleted");
        }
        if let Some(refused) = &report.refused {
            say!("no user was deleted: {refused}");
        } else if report.matches_provider() {
            if not_listed.is_empty() && report.recent == 0 {
                say!("the table matches the provider's list");
            } else {
                say!("all other rows match the provider's list");
            }
        } else {
            if *deleted_here > 0 {
                say!(
                    "{deleted_here} of the missing users were deleted here; --repair does not restore them: see \
                     \"Deleted here, but not at the provider\" in docs/import.md"
                );
            }
            if missing.count + different.count > *deleted_here && !self.repair {
                say!("`usersync reconcile {source} --repair` writes the missing and different rows");
            }
            if report.unconfirmed {
                say!("to confirm that the extra users no longer exist, set `get` under [sources.list]");
            } else if !self.delete && extra > 0 {
                say!("`usersync reconcile {source} --delete` deletes the extra rows");
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
        say!("  and {} more; --json lists up to 1000", count - IDS_PRINTED as u64);
    }
}
