//! The HTTP client for management APIs: rate limit, retries, credentials, and limits of size, time and host.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Method as HttpMethod, header, redirect};
use secrecy::ExposeSecret;
use tracing::debug;
use url::Url;

use super::answer::{error_message_in, requested_pause};
use super::credentials::Credentials;
use super::error::ApiError;
use super::response::{EVENT_STREAM, Failure, Verdict, describe, is_event_stream, read};
use crate::clock::{Clock, random_bytes};
use crate::config::is_permitted;
use crate::domain::Timestamp;
use crate::outgoing::client_for;
use crate::providers::api::Api;
use crate::providers::directory::{Answer, Directory, Method, Request};
use crate::telemetry::Span;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, even if the provider requests a longer one.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long it may take to open a stream, including the wait for the rate limit and for a token.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a download or a stream may go without a byte.
const DOWNLOAD_READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Sends requests to one source's management API.
#[derive(Debug)]
pub(super) struct ApiClient {
    http: reqwest::Client,
    api: Arc<Api>,
    credentials: Credentials,
    limiter: DefaultDirectRateLimiter,
    clock: Clock,
    allow_http: bool,
    retry_policy: RetryPolicy,
    /// The provider's clock at its first answer.
    first_date: OnceLock<Timestamp>,
}

/// How often and how long a request is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    attempts: u32,
    /// How long one answer may take, from the first byte to the last.
    answer_timeout: Duration,
}

impl RetryPolicy {
    /// For a run: a temporary failure should not end it.
    pub(super) const RUN: Self = Self { attempts: 8, answer_timeout: Duration::from_mins(1) };
    /// For a check: it is repeated after some minutes, and a caller of the API may wait for it.
    pub(super) const WATCH: Self = Self { attempts: 2, answer_timeout: Duration::from_secs(8) };
}

impl ApiClient {
    /// A client of a source's API. `pace` overrides the provider's default rate.
    pub(super) fn new(
        api: &Arc<Api>,
        pace: Option<NonZeroU32>,
        allow_http: bool,
        clock: Clock,
        retry_policy: RetryPolicy,
    ) -> Result<Self, ApiError> {
        let http = client_for(&api.base_url)
            // A redirect would send the credentials to another host.
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(DOWNLOAD_READ_TIMEOUT)
            .user_agent(concat!("usersync/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ApiError::Refused(format!("the HTTP client could not be created: {error}")))?;
        let own = || NonZeroU32::new(api.directory.pace().requests_per_second).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(pace.unwrap_or_else(own)).allow_burst(NonZeroU32::MIN);
        let api = Arc::clone(api);
        let (credentials, limiter) = (Credentials::new(Arc::clone(&api)), RateLimiter::direct(quota));
        let first_date = OnceLock::new();
        Ok(Self { http, api, credentials, limiter, clock, allow_http, retry_policy, first_date })
    }

    /// Sends a request, with retries, until it has an answer: any 2xx or 4xx, except 401, 403, 408 and 429.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, ApiError> {
        let mut is_renewed = false;
        let mut failures = 0;
        loop {
            let failure = match self.send_once(request).await {
                Ok(answer) if answer.status == 401 && !is_renewed && self.credentials.can_be_renewed() => {
                    // The token was revoked before it expired.
                    is_renewed = true;
                    self.credentials.forget().await;
                    continue;
                }
                Ok(answer) => match self.classify(&answer) {
                    Ok(()) => return Ok(answer),
                    Err(Verdict::Permanent(error)) => return Err(error),
                    Err(Verdict::Temporary(failure)) => failure,
                },
                Err(Verdict::Permanent(error)) => return Err(error),
                Err(Verdict::Temporary(failure)) => failure,
            };
            failures += 1;
            if failures >= self.retry_policy.attempts {
                return Err(ApiError::Unavailable(format!("{} ({failures} attempts)", failure.what)));
            }
            let pause = Self::pause(&failure, failures);
            debug!(what = failure.what, failures, ?pause, "retrying a request to the provider");
            tokio::time::sleep(pause).await;
        }
    }

    /// The same, but a refusal of the request, such as 404 for one user, is an answer as well.
    pub(super) async fn send_for_any_answer(&self, request: &Request) -> Result<Answer, ApiError> {
        match self.send(request).await {
            Err(ApiError::Answered { answer, .. }) => Ok(*answer),
            result => result,
        }
    }

    /// The API that requests are sent to.
    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// Reads the provider's list.
    pub(super) fn directory(&self) -> &dyn Directory {
        self.api.directory.as_ref()
    }

    /// The provider's clock at its first answer.
    pub(super) fn first_date(&self) -> Option<Timestamp> {
        self.first_date.get().copied()
    }

    /// Starts a download from a URL that contains its own signature. No credentials are sent.
    pub(super) async fn download(
        &self,
        url: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin + use<>, ApiError> {
        let url =
            Url::parse(url).map_err(|_| ApiError::Refused("the file's address is not a URL".to_owned()))?;
        self.check_place(&url)?;
        let failed = |what: String| ApiError::Unavailable(what);
        let response = self.http.get(url).send().await.map_err(|error| failed(describe(&error)))?;
        if !response.status().is_success() {
            return Err(failed(format!("the file's address answered {}", response.status().as_u16())));
        }
        Ok(Box::pin(response.bytes_stream().map_err(|error| std::io::Error::other(describe(&error)))))
    }

    async fn send_once(&self, request: &Request) -> Result<Answer, Verdict> {
        let builder = self.prepare(request, "application/json").await?;
        let span = self.span(request);
        let response = builder.timeout(self.retry_policy.answer_timeout).send().await;
        let temporary = |what: String| Verdict::Temporary(Failure { what, pause: None });
        let answer = match response {
            Ok(response) => read(response).await,
            Err(error) => Err(temporary(describe(&error))),
        };
        match &answer {
            Ok(answer) => span.answered(answer.status),
            Err(_) => span.fail("no_answer"),
        }
        span.end();
        let answer = answer?;
        if let Some(date) = answer.date {
            self.first_date.get_or_init(|| date);
        }
        Ok(answer)
    }

    /// Opens a stream. There are no retries; the caller decides when to try again.
    pub(super) async fn open(
        &self,
        request: &Request,
    ) -> Result<impl Stream<Item = Result<Bytes, String>> + Unpin + use<>, ApiError> {
        for is_renewed in [false, true] {
            let opening = async {
                let builder = self.prepare(request, EVENT_STREAM).await.map_err(Verdict::into_error)?;
                let response =
                    builder.send().await.map_err(|error| ApiError::Unavailable(describe(&error)))?;
                if is_event_stream(&response) {
                    return Ok(Ok(response));
                }
                Ok(Err(read(response).await.map_err(Verdict::into_error)?))
            };
            let timed_out = |_| Err(ApiError::Unavailable("the provider did not answer in time".to_owned()));
            let answer = match tokio::time::timeout(OPEN_TIMEOUT, opening).await.unwrap_or_else(timed_out)? {
                Ok(response) => {
                    return Ok(Box::pin(response.bytes_stream().map_err(|error| describe(&error))));
                }
                Err(answer) => answer,
            };
            if answer.status == 401 && !is_renewed && self.credentials.can_be_renewed() {
                self.credentials.forget().await;
                continue;
            }
            return match self.classify(&answer) {
                Ok(()) => Err(ApiError::Unexpected("the answer is not a stream of events".to_owned())),
                Err(verdict) => Err(verdict.into_error()),
            };
        }
        Err(ApiError::Unauthorized("the provider does not accept the token".to_owned()))
    }

    /// Builds a request with its headers and credentials, and waits for the rate limit.
    async fn prepare(
        &self,
        request: &Request,
        accept: &'static str,
    ) -> Result<reqwest::RequestBuilder, Verdict> {
        let url = self.url(request).map_err(Verdict::Permanent)?;
        let mut builder = self.http.request(http_method(request), url).header(header::ACCEPT, accept);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        for (name, value) in &self.api.headers {
            builder = builder.header(name, value.expose_secret());
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let builder = self.credentials.add_to(builder, &self.http).await.map_err(|error| match error {
            ApiError::Unavailable(what) => Verdict::Temporary(Failure { what, pause: None }),
            error => Verdict::Permanent(error),
        })?;
        self.limiter.until_ready().await;
        Ok(builder)
    }

    /// The span of a request. Its path and its query may have the id or the address of a user.
    fn span(&self, request: &Request) -> Span {
        let span = Span::of_call("ask provider");
        span.set_call(http_method(request).as_str(), &self.api.base_url);
        span
    }

    fn url(&self, request: &Request) -> Result<Url, ApiError> {
        let refused = |what: String| ApiError::Refused(what);
        let mut url = if request.path.contains("://") {
            Url::parse(&request.path)
                .map_err(|error| refused(format!("a URL of the list cannot be read: {error}")))?
        } else {
            let base = self.api.base_url.as_str().trim_end_matches('/');
            Url::parse(&format!("{base}{}", request.path))
                .map_err(|error| refused(format!("`base_url` under [sources.api] cannot be used: {error}")))?
        };
        if url.origin() != self.api.base_url.origin() {
            return Err(refused(format!(
                "{} is not the API's host, so no credentials are sent to it",
                url.origin().ascii_serialization()
            )));
        }
        self.check_place(&url)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    fn check_place(&self, url: &Url) -> Result<(), ApiError> {
        if is_permitted(url, self.allow_http) {
            return Ok(());
        }
        Err(ApiError::Refused(
            "the URL of the API must be https (http only for loopback hosts, or with \
            allow_http under [tokens])"
                .to_owned(),
        ))
    }

    fn classify(&self, answer: &Answer) -> Result<(), Verdict> {
        let status = answer.status;
        let words = self.credentials.hidden_in(&error_message_in(&answer.body));
        let refused =
            |what: &str| Err(Verdict::Permanent(ApiError::Refused(format!("{what} ({status}{words})"))));
        match status {
            200..=299 => Ok(()),
            300..=399 => refused("the API answered with a redirect: check `base_url` under [sources.api]"),
            401 => Err(Verdict::Permanent(ApiError::Unauthorized(format!(
                "the provider does not accept the credentials under [sources.api]: check them \
                    ({status}{words})"
            )))),
            403 => Err(Verdict::Permanent(ApiError::Forbidden {
                words: format!(
                    "the credentials lack a permission: {} ({status}{words})",
                    self.credentials.hint()
                ),
                answer: Box::new(answer.clone()),
            })),
            408 | 429 | 500..=599 => {
                let pause = requested_pause(answer, self.clock.now());
                Err(Verdict::Temporary(Failure {
                    what: format!("the provider answered {status}{words}"),
                    pause,
                }))
            }
            _ => Err(Verdict::Permanent(ApiError::Answered {
                answer: Box::new(answer.clone()),
                words: match words.trim_start_matches(", ") {
                    "" => "without a reason: check `base_url` under [sources.api]".to_owned(),
                    reason => reason.to_owned(),
                },
            })),
        }
    }

    fn pause(failure: &Failure, failures: u32) -> Duration {
        let backoff = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10));
        // Zero is no pause: the attempts would be over at once. This machine's clock may be ahead of the provider's.
        let requested = failure.pause.filter(|pause| !pause.is_zero());
        let pause = requested.unwrap_or(backoff).min(LONGEST_PAUSE);
        // Up to 20 % more, so that several clients do not retry at the same time.
        let [random] = random_bytes().unwrap_or([128]);
        pause.mul_f64(1.0 + f64::from(random) / 255.0 / 5.0)
    }
}

fn http_method(request: &Request) -> HttpMethod {
    match request.method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ApiClient, Failure, LONGEST_PAUSE};

    #[test]
    fn the_pause_that_the_provider_requests_is_made_unless_it_is_zero() {
        let pause = |requested: Option<u64>, failures| {
            let pause = requested.map(Duration::from_secs);
            ApiClient::pause(&Failure { what: String::new(), pause }, failures)
        };
        for (requested, failures, seconds) in
            [(None, 1, 0.5), (None, 3, 2.0), (Some(7), 3, 7.0), (Some(0), 3, 2.0), (Some(3_600), 1, 60.0)]
        {
            let made = pause(requested, failures).as_secs_f64();
            assert!((seconds..=seconds * 1.2).contains(&made), "{requested:?} {failures}: {made}");
        }
        assert!(pause(None, u32::MAX) >= LONGEST_PAUSE);
    }
}
