//! The checks of a delivery.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::report::{Failure, Report};
use super::signature_diagnosis::{self, SavedDelivery};
use super::webhook_fix;
use crate::config::{self, Config};
use crate::domain::{Change, ChangeKind, Content, Delivery, Timestamp};
use crate::providers::{self, ReadMessage, Source, SourceError};
use crate::signature::{Message, SignatureError, Verified};

/// What to say if every check passed.
pub(crate) const ALL_PASSED: &str = "The delivery is valid. Nothing was written: to apply it, let the provider send it \
    again, or use `usersync send` or `usersync replay`.";

/// The checks that are made once a message is verified.
const LAST: [&str; 2] = ["json", "event"];

/// How much of a string from the message is shown, in characters.
const LONGEST_EXCERPT: usize = 100;

/// A delivery as it was saved: to which source it was sent, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved<'a> {
    pub(crate) source: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) at: Timestamp,
}

/// Every check of a delivery, and how to fix the one that failed.
pub(crate) fn report(config: &Config, saved: Saved<'_>) -> Result<Report, SourceError> {
    let Saved { source, headers, body, at } = saved;
    let mut report = Report::default();
    if let Some(settings) = config.sources.iter().find(|one| one.name == source) {
        report.passed("source", format!("`{}`, provider {}", settings.name, settings.provider.name));
        examine(config, &SavedDelivery { settings, headers, body, at }, &mut report)?;
    } else {
        report.failed(unknown_source(source, config));
        report.not_reached(&["size"]);
        report.not_reached(&SignatureError::CHECKS);
        report.not_reached(&LAST);
    }
    Ok(report)
}

fn unknown_source(name: &str, config: &Config) -> Failure {
    let names: Vec<_> = config.sources.iter().map(|source| format!("`{}`", source.name)).collect();
    let fix = if names.is_empty() {
        format!(
            "no source is configured: add [[sources]], or set the variables of {} (docs/configuration.md)",
            providers::vendors_with_variables()
        )
    } else {
        format!(
            "the URL at the provider must end in /webhooks/ and one of {}; or add a source of this name",
            names.join(", ")
        )
    };
    Failure { check: "source", found: format!("no source is named {name:?}"), fix }
}

/// The checks that follow once the source is known, in the order of the service.
fn examine(config: &Config, evidence: &SavedDelivery<'_>, report: &mut Report) -> Result<(), SourceError> {
    let source = Source::new(evidence.settings)?;
    let (size, limit) = (evidence.body.len(), config.server.body_limit);
    if size > limit {
        let found = format!("{size} bytes, and the limit is {limit}");
        let fix = "raise body_limit under [server], if the delivery is legitimate".to_owned();
        report.failed(Failure { check: "size", found, fix });
        report.not_reached(source.checks(evidence.headers));
        report.not_reached(&LAST);
        return Ok(());
    }
    report.passed("size", format!("{size} bytes"));
    match verify(&source, config, evidence, report) {
        Ok(message) => decode(&source, message, evidence.at, report),
        Err(_) => report.not_reached(&LAST),
    }
    Ok(())
}

/// The checks of the source's scheme. A saved request is usually old, so where only its time is wrong, the
/// other checks are made as of that time.
fn verify(
    source: &Source,
    config: &Config,
    evidence: &SavedDelivery<'_>,
    report: &mut Report,
) -> Result<Verified<Message>, SignatureError> {
    let SavedDelivery { headers, body, at, .. } = *evidence;
    let verify_at = |at| source.verify(headers, body.to_vec(), at);
    let checks = source.checks(headers);
    let verified = verify_at(at);
    let Err(error @ SignatureError::OutsideTolerance { seconds, direction, .. }) = &verified else {
        report.made(checks, failure_of(&verified, config, evidence), |check| passed(check, evidence));
        return verified;
    };
    let away = Duration::from_secs(*seconds);
    let then = if *direction == "old" { at.minus(away) } else { at.plus(away) };
    let then = Timestamp::from_seconds(then.as_seconds());
    let evidence = SavedDelivery { at: then, ..*evidence };
    let position = checks.iter().position(|check| *check == error.check()).unwrap_or_default();
    let (before, rest) = checks.split_at(position);
    report.made(before, None, |check| passed(check, &evidence));
    report.failed(failure(error, config, &evidence));
    let rest = rest.get(1..).unwrap_or_default();
    if away.as_secs() >= webhook_fix::NOT_SECONDS {
        // Such a large difference that it cannot be a time in seconds.
        report.not_reached(rest);
        return verified;
    }
    let verified = verify_at(then);
    report.made(rest, failure_of(&verified, config, &evidence), |check| passed(check, &evidence));
    verified
}

fn failure_of<T>(
    verified: &Result<T, SignatureError>,
    config: &Config,
    evidence: &SavedDelivery<'_>,
) -> Option<Failure> {
    verified.as_ref().err().map(|error| failure(error, config, evidence))
}

fn failure(error: &SignatureError, config: &Config, evidence: &SavedDelivery<'_>) -> Failure {
    Failure { check: error.check(), found: error.to_string(), fix: webhook_fix::fix(error, config, evidence) }
}

/// What a check found that passed.
fn passed(check: &str, evidence: &SavedDelivery<'_>) -> String {
    match check {
        "headers" => {
            let known = webhook_fix::signature_headers(evidence.headers);
            known.join(", ")
        }
        "timestamp" => "a number of seconds".to_owned(),
        "tolerance" => "within the tolerance".to_owned(),
        "secret" => {
            let config::Source { webhook_secrets, bearer_tokens, .. } = evidence.settings;
            format!("the source has {}", webhook_secrets.len() + bearer_tokens.len())
        }
        "signature" => signature_diagnosis::matching_secret(evidence)
            .map(|which| format!("matches {which}"))
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// The content of a verified message, and what it would do.
fn decode(source: &Source, message: Verified<Message>, at: Timestamp, report: &mut Report) {
    let read = match source.read(message, at) {
        Err(error) => {
            let fix =
                "it would be refused and not stored: check what the provider, or a proxy, sends".to_owned();
            report.failed(Failure { check: "json", found: error.to_string(), fix });
            return report.not_reached(&["event"]);
        }
        Ok(read) => read,
    };
    report.passed("json", "JSON in UTF-8");
    match read {
        ReadMessage::NotAboutUsers { event_type, .. } => {
            let event = excerpt(event_type.as_deref());
            report.passed("event", format!("{event} is not about a user: it would be ignored"));
        }
        ReadMessage::Delivery(Delivery { event_type, content: Content::Change(change), .. }) => {
            report.passed("event", effect(&excerpt(event_type.as_deref()), &change));
        }
        ReadMessage::Delivery(Delivery {
            event_type, content: Content::Unreadable { reason, .. }, ..
        }) => {
            let found = format!("{} cannot be read: {reason}", excerpt(event_type.as_deref()));
            let fix = "it would be parked: answered 200 and stored. Check `provider` of the source. If it is \
                right, report this event; a later version may understand it (`usersync replay --parked`)";
            report.failed(Failure { check: "event", found, fix: fix.to_owned() });
        }
    }
}

fn effect(event: &str, change: &Change) -> String {
    let user = excerpt(Some(&change.user.external_id));
    let stamp =
        if change.stamp.is_date() { format!("as of {}", change.stamp) } else { "without a date".to_owned() };
    let unless = "applied; or `duplicate` if it was received before; or `stale` if the user was deleted \
        before, or if the stored data is the same or newer";
    match &change.kind {
        ChangeKind::Delete => format!("{event} deletes user {user} {stamp}: it would be {unless}"),
        ChangeKind::Upsert { .. } | ChangeKind::Claims { .. } => {
            format!("{event} of user {user}, {stamp}: it would be {unless}")
        }
    }
}

fn excerpt(string: Option<&str>) -> String {
    let cut: Option<String> = string.map(|string| string.chars().take(LONGEST_EXCERPT).collect());
    cut.map_or("an event without a type".to_owned(), |string| format!("{string:?}"))
}

/// Windows programs write it at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines of the form `name: value`, as curl and most tools show them: with LF or CRLF, and perhaps after the
/// request line. The error is the number of the first line that is not a header.
pub(crate) fn parse_headers(bytes: &[u8]) -> Result<HeaderMap, usize> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut headers = HeaderMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        let is_request_line = index == 0 && line.windows(6).any(|part| part == b" HTTP/");
        // Browsers show the method and the path of HTTP/2 as `:method` and `:path`.
        if line.is_empty() || is_request_line || line.starts_with(b":") {
            continue;
        }
        let (name, value) = header(line).ok_or(index + 1)?;
        // There is a limit to how many headers fit.
        headers.try_append(name, value).map_err(|_| index + 1)?;
    }
    Ok(headers)
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..)?.trim_ascii();
    Some((HeaderName::from_bytes(name.trim_ascii()).ok()?, HeaderValue::from_bytes(value).ok()?))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::{BYTE_ORDER_MARK, parse_headers};

    /// The file that shows these headers.
    fn file(headers: &HeaderMap, end: &str) -> Vec<u8> {
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), end.as_bytes()].concat()
        };
        headers.iter().flat_map(line).collect()
    }

    #[test]
    fn headers_are_read_below_a_request_line_a_byte_order_mark_or_pseudo_headers() {
        let expected = parse_headers(b"svix-id: msg_1\nsvix-timestamp: 1").unwrap();
        assert_eq!(expected.len(), 2);
        for before in
            [&b"POST /webhooks/clerk HTTP/1.1\r\n"[..], BYTE_ORDER_MARK, b":method: POST\n:path: /\n", b"\n"]
        {
            let file = [before, &file(&expected, "\r\n")].concat();
            assert_eq!(parse_headers(&file).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn a_line_that_is_not_a_header_is_named_by_its_number_and_so_is_one_too_many() {
        assert_eq!(parse_headers(b"svix-id: msg_1\n\nno header"), Err(3));
        let many: Vec<u8> = (0..70_000).flat_map(|number| format!("h{number}: x\n").into_bytes()).collect();
        assert!(parse_headers(&many).is_err());
    }

    proptest! {
        #[test]
        fn no_file_panics_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse_headers(&bytes).ok();
        }

        #[test]
        fn what_is_read_is_read_again(bytes in "([a-zA-Z-]{1,8}: ?[ -~]{0,12}\r?\n){0,6}") {
            let headers = parse_headers(bytes.as_bytes()).unwrap();
            prop_assert_eq!(parse_headers(&file(&headers, "\n")), Ok(headers));
        }
    }
}
