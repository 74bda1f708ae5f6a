//! Reading a provider's own log of events, so that a change whose webhook was lost is still written, within a minute.
//!
//! The events are written like deliveries and have the same ids as the webhooks, so an event that a webhook has
//! delivered is a duplicate. The position in the log is committed with the events, so nothing is skipped, wherever
//! reading stops.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tracing::{debug, info, warn};

use super::Inner;
use super::checks::{CHECK_TIMEOUT, reason_of_api};
use crate::domain::{Delivery, LogState, Outcome, Reason, Timestamp, UserKey};
use crate::providers::Source;
use crate::providers::directory::ListError;
use crate::providers::event_log::{LogForm, LogMessage, LogRefusal, LogStart, ProviderLog, StreamMessage};
use crate::pull::client::ApiClient;
use crate::pull::error::ApiError;
use crate::pull::sse::SseParser;
use crate::store::{Chain, LogPosition, StoreError};

/// The pause between two requests to a log of pages, if no delivery arrives: with the time that a request takes, less than
/// a minute.
const INTERVAL: Duration = Duration::from_secs(50);
/// The shortest pause between two requests, even if many deliveries arrive.
const MIN_PAUSE: Duration = Duration::from_secs(2);
/// How far before the last request reading starts if there is no position to continue from.
const OVERLAP: Duration = Duration::from_mins(5);
/// How far back reading starts at most: one request for a log may not cover more than 30 days.
const MAX_AGE: Duration = Duration::from_hours(25 * 24);
/// A stream that ends sooner than this without a message has failed.
const MIN_STREAM_TIME: Duration = Duration::from_secs(5);
/// A failure is reported after this number of failures in a row.
const FAILURES_UNTIL_REPORTED: u32 = 3;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The pause between two attempts if only the operator can change the result. A check ends it.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_mins(5);
/// How often a reader that waits after a failure looks whether a check, perhaps by another replica, could read the log.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(5);

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error("the provider refused to send its event log: {0:?}")]
    Refused(LogRefusal),
    #[error(transparent)]
    Api(ApiError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("the stream failed: {0}")]
    Stream(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The reader of one source's log.
pub(super) struct LogReader<'a> {
    pub(super) watch: &'a Inner,
    pub(super) source: &'a Source,
    pub(super) client: &'a ApiClient,
    pub(super) log: &'a dyn ProviderLog,
    pub(super) chain: Chain,
    /// The number of failures in a row.
    pub(super) failures: u32,
    /// Whether the last failure is stored.
    pub(super) is_reported: bool,
}

impl Inner {
    /// Sends one request for the event log of a source, if the last one failed. If it is answered now, the failure is
    /// deleted, and the replica that reads the log reads it again soon.
    pub(super) async fn retry_log(
        &self,
        source: &Source,
        client: &ApiClient,
        state: &LogState,
    ) -> Result<(), StoreError> {
        let Some(log) = client.api().watch.event_log().filter(|_| state.failure.is_some()) else {
            return Ok(());
        };
        let reader = self.reader(source, client, log);
        match tokio::time::timeout(CHECK_TIMEOUT, reader.try_once()).await {
            Ok(Ok(())) => self.puller.writer.store.watches().clear_log_failure(source.name()).await,
            Ok(Err(LogError::Store(error))) => Err(error),
            Ok(Err(error)) => {
                debug!(source = source.name(), %error, "the event log still cannot be read");
                Ok(())
            }
            Err(_) => {
                debug!(source = source.name(), "the event log did not answer in time");
                Ok(())
            }
        }
    }

    /// A reader of the event log of a source.
    pub(super) fn reader<'a>(
        &'a self,
        source: &'a Source,
        client: &'a ApiClient,
        log: &'a dyn ProviderLog,
    ) -> LogReader<'a> {
        let chain = Chain::for_batches(self.puller.writer.store.clone());
        LogReader { watch: self, source, client, log, chain, failures: 0, is_reported: false }
    }
}

impl LogReader<'_> {
    /// Reads the log until it is cancelled.
    pub(super) async fn follow(&mut self) {
        loop {
            let read = match self.log.form() {
                LogForm::Pages => self.read_pages().await,
                LogForm::Stream => self.read_stream().await,
            };
            let pause = match read {
                Ok(()) => self.succeed().await,
                Err(error) => self.fail(&error).await,
            };
            if self.failures > 0 {
                self.pause_after_failure(pause).await;
                continue;
            }
            tokio::time::sleep(pause).await;
            if self.log.form() == LogForm::Pages {
                let arrival = self.watch.activities.arrival(self.source.name());
                // Ends with the first delivery, or after the interval.
                tokio::time::timeout(INTERVAL.saturating_sub(pause), arrival).await.ok();
            }
        }
    }

    /// Waits after a failure. The wait ends early if a check has been able to read the log.
    async fn pause_after_failure(&self, pause: Duration) {
        let end = Instant::now() + pause;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || (self.is_reported && self.has_recovered().await) {
                return;
            }
            tokio::time::sleep(left.min(RECOVERY_INTERVAL)).await;
        }
    }

    /// Whether the stored failure was deleted.
    async fn has_recovered(&self) -> bool {
        let watched = self.watch.puller.writer.store.watches().find(self.source.name()).await;
        watched.ok().flatten().is_some_and(|watched| watched.log.failure.is_none())
    }

    /// Sends one request, and reads no event of its answer.
    async fn try_once(&self) -> Result<(), LogError> {
        let from = self.start().await?;
        let request = self.log.request(&from);
        let answered = match self.log.form() {
            LogForm::Pages => self.client.send(&request).await.map(|_| ()),
            LogForm::Stream => self.client.open(&request).await.map(|_| ()),
        };
        answered.map_err(|error| self.refusal(&from, error))
    }

    /// Where to start reading.
    async fn start(&self) -> Result<LogStart, StoreError> {
        let now = self.watch.puller.clock.now();
        let watched = self.watch.puller.writer.store.watches().find(self.source.name()).await?;
        let cursor = watched.as_ref().and_then(|watched| watched.cursor.clone());
        let read_at = watched.and_then(|watched| watched.log.read_at).unwrap_or(now);
        Ok(match cursor {
            Some(cursor) => LogStart::After(cursor),
            None => LogStart::Since(read_at.minus(OVERLAP).max(now.minus(MAX_AGE))),
        })
    }

    /// Reads all pages up to the end of the log.
    async fn read_pages(&mut self) -> Result<(), LogError> {
        let mut from = self.start().await?;
        loop {
            let answer = self.client.send(&self.log.request(&from)).await;
            let answer = answer.map_err(|error| self.refusal(&from, error))?;
            let page = self.log.read_page(&from, &answer)?;
            let Some(cursor) = page.cursor else { return Ok(()) };
            let now = self.watch.puller.clock.now();
            let events = page.events.iter().filter_map(|event| self.source.logged(event, now)).collect();
            self.write(events, &cursor).await?;
            if !page.has_more {
                return Ok(());
            }
            from = LogStart::After(cursor);
        }
    }

    /// Reads a stream until it ends.
    async fn read_stream(&mut self) -> Result<(), LogError> {
        let from = self.start().await?;
        let stream = self.client.open(&self.log.request(&from)).await;
        let mut stream = stream.map_err(|error| self.refusal(&from, error))?;
        self.watch.puller.writer.store.watches().clear_log_failure(self.source.name()).await?;
        let mut parser = SseParser::default();
        let opened = Instant::now();
        let mut has_advanced = false;
        while let Some(bytes) = stream.next().await {
            let messages = match bytes {
                Ok(bytes) => parser.read(&bytes).map_err(|error| LogError::Stream(error.to_string()))?,
                // The provider closes connections regularly, some of them without a proper end.
                Err(_) if has_advanced || opened.elapsed() > MIN_STREAM_TIME => return Ok(()),
                Err(what) => return Err(LogError::Stream(what)),
            };
            has_advanced |= self.process(&messages).await?;
        }
        if has_advanced || opened.elapsed() > MIN_STREAM_TIME {
            return Ok(());
        }
        Err(LogError::Stream("it ended immediately".to_owned()))
    }

    /// Writes messages that arrived together, in one transaction; returns whether the position has advanced.
    async fn process(&mut self, messages: &[StreamMessage]) -> Result<bool, LogError> {
        let (mut events, mut position, mut failure, mut has_gap) = (Vec::new(), None, None, false);
        for message in messages {
            match self.log.read_message(message) {
                LogMessage::Event { event, cursor } => {
                    events.extend(self.source.logged(&event, self.watch.puller.clock.now()));
                    position = Some(cursor);
                }
                LogMessage::Position(cursor) => position = Some(cursor),
                LogMessage::Skipped(cursor) => (position, has_gap) = (Some(cursor), true),
                LogMessage::PositionLost => failure = Some(LogError::Refused(LogRefusal::PositionLost)),
                LogMessage::Failed(code) => failure = Some(LogError::Stream(code)),
                LogMessage::Nothing => {}
            }
        }
        if has_gap {
            self.lose_position().await?;
        }
        if let Some(cursor) = &position {
            self.write(events, cursor).await?;
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(position.is_some()),
        }
    }

    async fn write(&mut self, events: Vec<Delivery>, cursor: &str) -> Result<(), StoreError> {
        let Inner { puller, feed, .. } = self.watch;
        let position = LogPosition { source: self.source.name(), cursor, now: puller.clock.now() };
        let users: Vec<i64> = events.iter().filter_map(Delivery::user).map(UserKey::fingerprint).collect();
        let written = puller.writer.write_logged(&mut self.chain, events.clone(), &position).await;
        self.chain.end();
        self.failures = 0;
        // Also after a failure: the commit may have reached the database, and only its answer was lost.
        feed.wake(&users);
        for (event, outcome) in events.iter().zip(written?) {
            puller.writer.metrics.logged_event(self.source.name(), outcome.as_str());
            let external_id = event.user().map(|user| &user.external_id);
            let Delivery { source, message_id, event_type, .. } = event;
            // An event that a webhook has already delivered is not logged.
            if outcome != Outcome::Duplicate {
                let outcome = outcome.as_str();
                info!(source, message_id, event_type, external_id, outcome, "read from the event log");
            }
        }
        Ok(())
    }

    fn refusal(&self, from: &LogStart, error: ApiError) -> LogError {
        let (ApiError::Answered { answer, .. } | ApiError::Forbidden { answer, .. }) = &error else {
            return LogError::Api(error);
        };
        match self.log.refusal(from, answer) {
            LogRefusal::Other => LogError::Api(error),
            refusal => LogError::Refused(refusal),
        }
    }

    /// Handles a log that was read to its end, or a stream that ended normally.
    async fn succeed(&mut self) -> Duration {
        self.failures = 0;
        if let Err(error) = self.note(None).await {
            debug!(%error, "the state of the event log could not be stored");
        }
        match self.log.form() {
            LogForm::Pages => MIN_PAUSE,
            LogForm::Stream => Duration::ZERO,
        }
    }

    /// Stores why the log could not be read; returns the pause before the next attempt.
    async fn fail(&mut self, error: &LogError) -> Duration {
        debug!(source = self.source.name(), %error, "the event log could not be read");
        self.failures = self.failures.saturating_add(1);
        self.is_reported = false;
        let backoff = Duration::from_secs(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        let is_persistent = self.failures >= FAILURES_UNTIL_REPORTED;
        let (reason, pause) = match error {
            LogError::Refused(LogRefusal::PositionLost) => {
                warn!(
                    source = self.source.name(),
                    "the position in the event log was lost: events may be missing until the next comparison"
                );
                let lost = self.lose_position().await;
                return if lost.is_ok() && self.failures == 1 { Duration::ZERO } else { backoff };
            }
            // Tenants of some plans have no log; the checks are made without it.
            LogError::Refused(LogRefusal::NotOffered) => (None, PAUSE_AFTER_REFUSAL),
            LogError::Refused(LogRefusal::Forbidden) => {
                (Some(Reason::EventLogForbidden), PAUSE_AFTER_REFUSAL)
            }
            // The connection of a replica that has just stopped may still be open.
            LogError::Refused(LogRefusal::Busy | LogRefusal::Other) | LogError::Stream(_) => {
                (is_persistent.then_some(Reason::EventLogUnavailable), backoff)
            }
            LogError::Api(error) => match reason_of_api(error) {
                Reason::ApiUnavailable => (is_persistent.then_some(Reason::EventLogUnavailable), backoff),
                reason => (Some(reason), LONGEST_PAUSE),
            },
            LogError::List(_) => (Some(Reason::UnexpectedAnswer), LONGEST_PAUSE),
            // An unavailable database is reported elsewhere.
            LogError::Store(_) => return backoff,
        };
        if reason.is_some() {
            match self.note(reason).await {
                Ok(()) => self.is_reported = true,
                Err(error) => debug!(%error, "the failure of the event log could not be stored"),
            }
        }
        pause
    }

    async fn note(&self, failure: Option<Reason>) -> Result<(), StoreError> {
        let now = self.watch.puller.clock.now();
        self.watch.puller.writer.store.watches().note_log(self.source.name(), failure, now).await
    }

    async fn lose_position(&self) -> Result<(), StoreError> {
        let now: Timestamp = self.watch.puller.clock.now();
        self.watch.puller.writer.store.watches().lose_position(self.source.name(), now).await
    }
}
