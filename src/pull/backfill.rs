//! Imports all users, page by page; the run's progress is committed with the page.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::{info, warn};
use uuid::Uuid;

use super::client::{ApiClient, RetryPolicy};
use super::error::PullError;
use super::file::FileError;
use super::paging::{PageHandler, read_ahead, read_list};
use super::progress::Progress;
use super::sample::Sample;
use super::{Puller, completeness};
use crate::domain::{Content, Delivery};
use crate::providers::Source;
use crate::providers::api::Api;
use crate::providers::directory::Position;
use crate::store::{
    Chain, Listing, Run, RunCounts, RunEnd, RunKind, RunProgress, RunRequest, RunState, StoreError,
};

/// How often a page is tried again while the database is unavailable.
const DATABASE_ATTEMPTS: u32 = 8;
const FIRST_DATABASE_PAUSE: Duration = Duration::from_millis(500);
/// The most reasons for parked users that are printed.
const MAX_REASONS_PRINTED: usize = 5;

/// What to read, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackfillOptions {
    /// Reads from this file instead of the API; `-` is standard input.
    pub(crate) file: Option<PathBuf>,
    /// Starts from the beginning, even if the last run is finished.
    pub(crate) restart: bool,
    /// Writes nothing.
    pub(crate) dry_run: bool,
    /// Overrides the provider's own rate.
    pub(crate) requests_per_second: Option<NonZeroU32>,
}

/// Where the users are read from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    File(&'a Path),
    Api(&'a Arc<Api>),
}

impl<'a> Origin<'a> {
    fn of(source: &'a Source, options: &'a BackfillOptions) -> Result<Self, PullError> {
        match (&options.file, source.api()) {
            (Some(file), _) => Ok(Self::File(file)),
            (None, Some(api)) => Ok(Self::Api(api)),
            (None, None) => Err(PullError::NoApi(source.name().to_owned())),
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) counts: RunCounts,
    /// Whether it had been finished before, and was not repeated.
    pub(crate) was_complete: bool,
    pub(crate) elapsed: Duration,
}

impl Puller {
    /// Imports the users of one source. A failure leaves the run unfinished: the next one continues from there.
    pub(crate) async fn backfill(
        &self,
        source: &Source,
        options: &BackfillOptions,
        progress: &mut dyn Progress,
    ) -> Result<Summary, (PullError, RunCounts)> {
        let started = Instant::now();
        let nothing = RunCounts::default();
        // Before a run begins, which would stay unfinished.
        let origin = Origin::of(source, options).map_err(|error| (error, nothing))?;
        if options.dry_run {
            let mut reading = self.reading(source, None, progress);
            let result = self.read(source, origin, options, None, &mut reading).await;
            let counts = reading.counts;
            return result
                .map(|()| Summary { counts, was_complete: false, elapsed: started.elapsed() })
                .map_err(|error| (error, counts));
        }
        let parameters = parameters(options);
        let run = self
            .begin(&self.run_request(source, options, &parameters), progress)
            .await
            .map_err(|error| (error, nothing))?;
        if run.state == RunState::Complete {
            return Ok(Summary { counts: run.counts, was_complete: true, elapsed: Duration::ZERO });
        }
        if run.position.is_some() {
            progress.note(&format!("continuing after {} users", run.counts.seen));
        }
        let mut reading = self.reading(source, Some(&run), progress);
        // Boxed: it is large.
        let reads = Box::pin(self.read(source, origin, options, Some(&run), &mut reading));
        let result = self.while_held(run.id, reads).await;
        let counts = reading.counts;
        let words = result.as_ref().err().map(ToString::to_string);
        let end = RunEnd {
            state: result.as_ref().map_or_else(PullError::run_state, |()| RunState::Complete),
            error: words.as_deref(),
            report: None,
            now: self.clock.now(),
        };
        let ended = self.writer.store.runs().end(run.id, &self.holder, &end).await;
        match result {
            Ok(()) => {
                ended.map_err(|error| (error.into(), counts))?;
                let RunCounts { seen, applied, unchanged, parked } = counts;
                info!(source = source.name(), seen, applied, unchanged, parked, "the backfill is complete");
                Ok(Summary { counts, was_complete: false, elapsed: started.elapsed() })
            }
            Err(error) => {
                warn!(source = source.name(), seen = counts.seen, %error, "the backfill is not finished");
                Err((error, counts))
            }
        }
    }

    /// Whether a backfill would do nothing, because the last one is complete.
    pub(crate) async fn is_backfilled(
        &self,
        source: &Source,
        options: &BackfillOptions,
    ) -> Result<bool, StoreError> {
        let parameters = parameters(options);
        self.writer.store.runs().is_complete(&self.run_request(source, options, &parameters)).await
    }

    fn run_request<'a>(
        &'a self,
        source: &'a Source,
        options: &BackfillOptions,
        parameters: &'a str,
    ) -> RunRequest<'a> {
        RunRequest {
            source: source.name(),
            kind: RunKind::Backfill,
            parameters,
            // A pipe cannot be read again from the middle.
            restart: options.restart || is_pipe(options),
            holder: &self.holder,
        }
    }

    fn reading<'a>(
        &'a self,
        source: &'a Source,
        run: Option<&'a Run>,
        progress: &'a mut dyn Progress,
    ) -> BackfillState<'a> {
        BackfillState {
            puller: self,
            source,
            run: run.map(|run| run.id),
            // Not `for_batches`: those get the write lock of SQLite first, and deliveries go first.
            chain: Chain::for_request(self.writer.store.clone()),
            counts: run.map(|run| run.counts).unwrap_or_default(),
            total: run.and_then(|run| run.total),
            reasons: Vec::new(),
            progress,
        }
    }

    async fn read(
        &self,
        source: &Source,
        origin: Origin<'_>,
        options: &BackfillOptions,
        run: Option<&Run>,
        reading: &mut BackfillState<'_>,
    ) -> Result<(), PullError> {
        let position = run.and_then(|run| run.position.clone());
        match origin {
            Origin::File(file) => {
                read_file(file, position, reading).await?;
                if reading.counts.seen == 0 {
                    return Err(PullError::Incomplete("the file has no users".to_owned()));
                }
            }
            Origin::Api(api) => self.read_api(source, api, options, position, reading).await?,
        }
        let any = Listing { source: Some(source.name().to_owned()), limit: 1, ..Listing::default() };
        let has_rows = !self.writer.store.users().list(&any).await?.users.is_empty();
        completeness::check(reading.counts, reading.total, has_rows)
    }

    async fn read_api(
        &self,
        source: &Source,
        api: &Arc<Api>,
        options: &BackfillOptions,
        position: Option<Position>,
        reading: &mut BackfillState<'_>,
    ) -> Result<(), PullError> {
        let pace = options.requests_per_second;
        let client = ApiClient::new(api, pace, self.allow_http, self.clock.clone(), RetryPolicy::RUN)?;
        let (directory, store) = (api.directory.as_ref(), &self.writer.store);
        self.check_instance(&client, source).await?;
        if position.is_none() {
            Sample::take(&client, directory, store, source.name()).await?.check_for_backfill()?;
        }
        if position.is_none()
            && let Some(count) = api.directory.count()
        {
            let answer = client.send(&count).await?;
            reading.total = Some(api.directory.read_count(&answer)?);
            if let Some(run) = reading.run {
                self.writer.store.runs().describe(run, reading.total, answer.date).await?;
            }
        }
        read_list(&client, source, position, reading).await
    }
}

/// A run with another file, or with the API, is another run.
fn parameters(options: &BackfillOptions) -> String {
    let Some(file) = &options.file else { return "api".to_owned() };
    let size = std::fs::metadata(file).map(|file| file.len()).unwrap_or_default();
    format!("file {} of {size} bytes", file.display())
}

fn is_pipe(options: &BackfillOptions) -> bool {
    options.file.as_deref() == Some(Path::new("-"))
}

async fn read_file(
    file: &Path,
    position: Option<Position>,
    reading: &mut BackfillState<'_>,
) -> Result<(), PullError> {
    let source: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file);
        Box::new(opened.map_err(|error| FileError::Open { path: file.display().to_string(), error })?)
    };
    let mut read = position.and_then(|position| position["users"].as_u64()).unwrap_or_default();
    let mut pages = read_ahead(source, read);
    while let Some(page) = pages.recv().await {
        let page = page?;
        let first = read + 1;
        read += page.len() as u64;
        let now = reading.puller.clock.now();
        let mut deliveries = Vec::with_capacity(page.len());
        for (number, user) in (first..).zip(page) {
            match reading.source.listed_in_file(user, now) {
                Ok(delivery) => deliveries.push(delivery),
                Err(why) => return Err(FileError::User { number, what: why.to_string() }.into()),
            }
        }
        reading.write(&deliveries, Some(&json!({"users": read}))).await?;
    }
    Ok(())
}

/// The state of a run while it reads.
struct BackfillState<'a> {
    puller: &'a Puller,
    source: &'a Source,
    /// `None` for a dry run.
    run: Option<Uuid>,
    chain: Chain,
    counts: RunCounts,
    total: Option<u64>,
    /// The reasons for parked users that were printed.
    reasons: Vec<String>,
    progress: &'a mut dyn Progress,
}

impl PageHandler for BackfillState<'_> {
    async fn page(
        &mut self,
        users: Vec<Value>,
        next: Option<&Position>,
        total: Option<u64>,
    ) -> Result<(), PullError> {
        self.total = total.or(self.total);
        let now = self.puller.clock.now();
        let deliveries: Vec<Delivery> = users.into_iter().map(|user| self.source.listed(user, now)).collect();
        self.write(&deliveries, next).await
    }

    fn preparing(&mut self, percent: Option<u64>) {
        self.progress.preparing(percent);
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
}

impl BackfillState<'_> {
    async fn write(&mut self, deliveries: &[Delivery], next: Option<&Position>) -> Result<(), PullError> {
        self.print_reasons(deliveries);
        let written = match self.run {
            Some(run) => self.write_with_retries(run, deliveries, next).await?,
            None => self.puller.writer.try_listed(&mut self.chain, deliveries).await?,
        };
        self.counts = self.counts + written;
        self.progress.read(self.counts, self.total);
        Ok(())
    }

    /// Writes a page. A database that is unavailable for some seconds does not end the run.
    async fn write_with_retries(
        &mut self,
        run: Uuid,
        deliveries: &[Delivery],
        next: Option<&Position>,
    ) -> Result<RunCounts, StoreError> {
        let Puller { writer, clock, holder, .. } = self.puller;
        let mut failures = 0;
        loop {
            let progress =
                RunProgress { run, holder, position: next, total: self.total, seen: &[], now: clock.now() };
            match writer.write_listed(&mut self.chain, deliveries, &progress).await {
                Err(StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Blocked(_))
                    if failures + 1 < DATABASE_ATTEMPTS =>
                {
                    tokio::time::sleep(FIRST_DATABASE_PAUSE * (1 << failures)).await;
                    failures += 1;
                }
                result => return result,
            }
        }
    }

    /// Prints each reason for parking once.
    fn print_reasons(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let Content::Unreadable { reason, .. } = &delivery.content else { continue };
            if self.reasons.len() < MAX_REASONS_PRINTED && !self.reasons.contains(reason) {
                self.progress.note(&format!("a user is parked: {reason}"));
                self.reasons.push(reason.clone());
            }
        }
    }
}
