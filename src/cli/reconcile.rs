//! `usersync reconcile`: compares the table with a provider's list, and repairs it if asked.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use super::Usage;
use super::backfill::{can_be_asked, is_setup};
use super::run_bar::{RunBar, interrupted};
use crate::clock::Clock;
use crate::config::Config;
use crate::providers::{Source, Sources};
use crate::pull::{PullError, Puller, ReconcileOptions, Report};
use crate::store::Store;
use crate::sync::Writer;
use crate::telemetry::Metrics;

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
    /// The walk did not come to its end, or a guard said no.
    Unknown,
}

impl Reconcile {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<ExitCode> {
        let config = super::configure_quietly(config)?;
        let sources = Arc::new(Sources::new(&config.sources).map_err(|error| Usage(error.to_string()))?);
        let names = self.names(&config)?;
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        let metrics = Metrics::default();
        let writer =
            Writer { store: store.clone(), sources: Arc::clone(&sources), clock: clock.clone(), metrics };
        let puller = Puller::new(writer, clock, config.tokens.allow_http);
        let mut worst = Verdict::InStep;
        for name in &names {
            let Some(source) = sources.get(name) else { continue };
            worst = worst.max(self.compare(&puller, source, &config).await?);
        }
        // Closing moves SQLite's write-ahead log into the database file.
        store.close().await?;
        Ok(match worst {
            Verdict::InStep => ExitCode::SUCCESS,
            Verdict::Drift => ExitCode::FAILURE,
            Verdict::Unknown => ExitCode::from(3),
        })
    }

    fn names(&self, config: &Config) -> anyhow::Result<Vec<String>> {
        for name in &self.sources {
            let source = config.sources.iter().find(|source| source.name == *name);
            let source =
                source.ok_or_else(|| Usage(format!("the configuration has no source named {name:?}")))?;
            if !can_be_asked(source) {
                bail!(Usage(format!(
                    "the provider of {name:?} cannot be asked: write its credentials under [sources.api] \
                     ([sources.list] of a standard source)"
                )));
            }
        }
        if !self.sources.is_empty() {
            return Ok(self.sources.clone());
        }
        let all = config.sources.iter().filter(|one| can_be_asked(one));
        let all: Vec<String> = all.map(|one| one.name.clone()).collect();
        if all.is_empty() {
            bail!(Usage(
                "no provider can be asked: set CLERK_SECRET_KEY, WORKOS_API_KEY or AUTH0_MANAGEMENT_CLIENT_ID, or write \
                 [sources.api]"
                    .to_owned()
            ));
        }
        Ok(all)
    }

    async fn compare(&self, puller: &Puller, source: &Source, config: &Config) -> anyhow::Result<Verdict> {
        let settings = config.sources.iter().find(|one| one.name == source.name());
        let options = ReconcileOptions {
            repair: self.repair,
            delete: self.delete,
            max_deletions: self.max_deletions,
            requests_per_second: settings
                .and_then(|settings| settings.api.as_ref())
                .and_then(|api| api.requests_per_second),
        };
        let mut progress = RunBar::new(source.name());
        let result = tokio::select! {
            result = puller.reconcile(source, &options, &mut progress) => result,
            () = interrupted() => Err(PullError::Interrupted),
        };
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
            Err(error) if is_setup(&error) => bail!(Usage(format!("{}: {error}", source.name()))),
            Err(error) => {
                if self.json {
                    let mut report = Report::unfinished(source.name());
                    report.refused = Some(error.to_string());
                    say!("{}", report.to_json());
                }
                eprintln!("{}: it could not be told: {error}", source.name());
                Ok(Verdict::Unknown)
            }
        }
    }

    fn print(&self, report: &Report) {
        let Report { source, provider, rows, repaired, deleted, .. } = report;
        say!("{source}: {provider} users at the provider, {rows} rows here");
        let different: Vec<String> = report
            .different
            .iter()
            .map(|one| format!("{} ({})", one.external_id, one.fields.join(", ")))
            .collect();
        let extra: Vec<String> = report.extra.iter().map(|(id, _)| id.clone()).collect();
        list("missing here", &report.missing);
        list("different here", &different);
        list("here, but gone at the provider", &extra);
        list("at the provider by id, but not in its list", &report.not_listed);
        if *repaired + *deleted > 0 {
            say!("{repaired} repaired, {deleted} deleted");
        }
        if let Some(refused) = &report.refused {
            say!("it cannot be told who is gone: {refused}");
        } else if report.is_in_step() {
            say!("the table is in step with the provider");
        } else {
            let is_drifted = !report.missing.is_empty() || !report.different.is_empty();
            if is_drifted && !self.repair {
                say!("usersync reconcile {source} --repair writes who is missing or different");
            }
            if !self.delete && !extra.is_empty() {
                say!("usersync reconcile {source} --delete deletes who is gone");
            }
        }
    }
}

fn list(what: &str, ids: &[String]) {
    if ids.is_empty() {
        return;
    }
    say!("{} {what}:", ids.len());
    for id in ids.iter().take(IDS_PRINTED) {
        say!("  {id}");
    }
    if ids.len() > IDS_PRINTED {
        say!("  and {} more; --json has up to a thousand", ids.len() - IDS_PRINTED);
    }
}
