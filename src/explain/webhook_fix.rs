//! How to fix the check that a delivery failed.

use http::HeaderMap;

use super::signature_diagnosis::{self, SavedDelivery};
use crate::config::Config;
use crate::providers;
use crate::signature::SignatureError;

/// Headers that carry a signature and belong to no provider, with whose they are.
const OTHER_SIGNATURES: [(&str, &str); 4] = [
    ("svix-signature", "Svix"),
    ("webhook-signature", "Standard Webhooks"),
    ("x-hub-signature-256", "GitHub and others"),
    ("stripe-signature", "Stripe"),
];

/// Headers that carry a signature, with whose they are.
fn known_signatures() -> Vec<(&'static str, String)> {
    let mut known = providers::signature_headers();
    known.extend(OTHER_SIGNATURES.map(|(name, whose)| (name, whose.to_owned())));
    known
}

/// Three thousand years. A timestamp with such a difference is not in seconds.
pub(super) const NOT_SECONDS: u64 = 100_000_000_000;

/// The suffixes of the headers that belong to a signature header.
const HEADER_SUFFIXES: [&str; 2] = ["-id", "-timestamp"];

/// The names of the headers that can show which provider sent a delivery. Never their values.
pub(super) fn signature_headers(headers: &HeaderMap) -> Vec<&str> {
    let signatures = known_signatures();
    let belongs = |name: &&str| {
        signatures.iter().any(|(signature, _)| {
            let family = signature.trim_end_matches("-signature");
            name == signature || HEADER_SUFFIXES.iter().any(|end| name.strip_suffix(end) == Some(family))
        })
    };
    headers.keys().map(http::HeaderName::as_str).filter(belongs).collect()
}

pub(super) fn fix(error: &SignatureError, config: &Config, evidence: &SavedDelivery<'_>) -> String {
    let path = evidence.path(config);
    match error {
        SignatureError::MissingHeader(_) => missing_header(evidence.headers, &path),
        SignatureError::InvalidHeader(name) => {
            format!("`{name}` must be sent once, in ASCII characters: does a proxy add or rewrite it?")
        }
        SignatureError::InvalidTimestamp => {
            "the provider signs the timestamp as it writes it: did something rewrite it (as milliseconds, as \
                a date)?"
                .to_owned()
        }
        SignatureError::OutsideTolerance { direction: "old", .. } => format!(
            "if it arrived just now, this machine's clock is ahead (`usersync doctor` checks it) or something \
                delayed the request; a request that was saved earlier is no longer accepted: let the provider \
                send it again, or check the file with --at {}. The checks below use that time",
            evidence.at
        ),
        SignatureError::OutsideTolerance { seconds: NOT_SECONDS.., .. } => {
            "it is not a time in seconds (perhaps in milliseconds): the sender must write seconds since 1970, and \
                sign that"
                .to_owned()
        }
        SignatureError::OutsideTolerance { .. } => {
            "this machine's clock is behind: synchronise it by NTP (`usersync doctor` checks it). The checks \
                below use the time in the header"
                .to_owned()
        }
        SignatureError::NoSecret => {
            format!("write this endpoint's signing secret in webhook_secrets of {path}")
        }
        SignatureError::NoBearerToken => format!(
            "send `Authorization: Bearer <token>`, once, with a token that is in bearer_tokens of {path}: check that the \
                token is set at the provider, and that no proxy removes the header"
        ),
        SignatureError::WrongBearerToken => format!(
            "write the token that is set at the provider in bearer_tokens of {path}, or set one of these at the \
                provider"
        ),
        SignatureError::NoMatch => {
            signature_diagnosis::diagnose(config, evidence).unwrap_or_else(|| unknown_cause(evidence, &path))
        }
    }
}

fn missing_header(headers: &HeaderMap, path: &str) -> String {
    let present = signature_headers(headers);
    let family = |name: &str| present.iter().any(|it| it.starts_with(name));
    if family("svix-") && family("webhook-") {
        return format!(
            "`svix-` and `webhook-` headers are mixed ({}): find what renames headers, and pass on all three \
                as they were sent",
            present.join(", ")
        );
    }
    if family("svix-") || family("webhook-") {
        return format!(
            "the request has only {}: a proxy, or the tool that saved this file, dropped the other headers",
            present.join(", ")
        );
    }
    let foreign = known_signatures().into_iter().find(|(name, _)| headers.contains_key(*name));
    foreign.map_or_else(
        || {
            "it is not signed: a proxy dropped the svix-* or webhook-* headers, or the request does not come \
                from a provider"
                .to_owned()
        },
        |(name, whose)| {
            format!(
                "it has the header `{name}` of {whose}: check `provider` of {path}, and the source in the URL"
            )
        },
    )
}

fn unknown_cause(evidence: &SavedDelivery<'_>, path: &str) -> String {
    let is_signature = |name: &str| name == "svix-signature" || name == "webhook-signature";
    let mut signatures = evidence.headers.iter().filter(|(name, _)| is_signature(name.as_str()));
    if !signatures.any(|(_, value)| value.to_str().is_ok_and(|text| text.contains("v1,"))) {
        return "the signature header contains no `v1,…`: it belongs to another scheme, or was truncated"
            .to_owned();
    }
    format!(
        "put this endpoint's own secret in webhook_secrets of {path}: the provider shows it on the page of \
            the endpoint with this URL, and each endpoint and environment has a different one. If it is the \
            right secret, the body, the id or the timestamp was changed in transit (or the two files belong \
            to different requests)"
    )
}
