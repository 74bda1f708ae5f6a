//! What to do about a delivery's failed check.

use http::HeaderMap;

use super::suspect::{self, Evidence};
use crate::config::Config;
use crate::signature::SignatureError;

/// Headers that carry a signature, by whose they are.
const SIGNATURES: [(&str, &str); 6] = [
    ("svix-signature", "Svix"),
    ("webhook-signature", "Standard Webhooks"),
    ("workos-signature", "WorkOS"),
    ("authorization", "a bearer token, as of Auth0's event streams"),
    ("x-hub-signature-256", "GitHub and others"),
    ("stripe-signature", "Stripe"),
];

/// Three thousand years: what is so far away counts something else than seconds.
pub(super) const FAR: u64 = 100_000_000_000;

/// The endings of what belongs to a signature, beside the signature itself.
const BESIDE: [&str; 2] = ["-id", "-timestamp"];

/// The names of the headers that may tell whom a delivery is from. Never their values.
pub(super) fn signature_headers(headers: &HeaderMap) -> Vec<&str> {
    let belongs = |name: &&str| {
        SIGNATURES.iter().any(|(signature, _)| {
            let family = signature.trim_end_matches("-signature");
            name == signature || BESIDE.iter().any(|end| name.strip_suffix(end) == Some(family))
        })
    };
    headers.keys().map(http::HeaderName::as_str).filter(belongs).collect()
}

pub(super) fn fix(error: &SignatureError, config: &Config, evidence: &Evidence<'_>) -> String {
    let path = evidence.path(config);
    match error {
        SignatureError::MissingHeader(_) => missing_header(evidence.headers, &path),
        SignatureError::InvalidHeader(name) => {
            format!("`{name}` must be there once, in plain characters: does a proxy add or rewrite it?")
        }
        SignatureError::InvalidTimestamp => {
            "it is signed as the provider wrote it: what rewrote it on its way (milliseconds, a date)?"
                .to_owned()
        }
        SignatureError::OutsideTolerance { direction: "old", .. } => format!(
            "if it came just now, this machine's clock is ahead (`usersync doctor` compares) or \
                something held it up; a request kept since is no longer taken: have the provider send \
                it again, and judge the file with --at {}. The checks below are as of then",
            evidence.at
        ),
        SignatureError::OutsideTolerance { seconds: FAR.., .. } => {
            "it is no time in seconds (in milliseconds?): the sender must write seconds since 1970, and \
                sign that"
                .to_owned()
        }
        SignatureError::OutsideTolerance { .. } => {
            "this machine's clock is behind: set it by NTP (`usersync doctor` compares). The checks \
                below are as of the time that it names"
                .to_owned()
        }
        SignatureError::NoSecret => {
            format!("write this endpoint's signing secret in webhook_secrets of {path}")
        }
        SignatureError::NoBearerToken => format!(
            "send `Authorization: Bearer <token>`, once, with a token that is in bearer_tokens of {path}: is it set on the \
                stream at the provider, and does a proxy take it away?"
        ),
        SignatureError::WrongBearerToken => format!(
            "write the token that is set at the provider in bearer_tokens of {path}, or set one of those there"
        ),
        SignatureError::NoMatch => {
            suspect::accuse(config, evidence).unwrap_or_else(|| no_suspect(evidence, &path))
        }
    }
}

fn missing_header(headers: &HeaderMap, path: &str) -> String {
    let there = signature_headers(headers);
    let family = |name: &str| there.iter().any(|it| it.starts_with(name));
    if family("svix-") && family("webhook-") {
        return format!(
            "two families are mixed ({}): what renames headers on the way? Hand all three on as they came",
            there.join(", ")
        );
    }
    if family("svix-") || family("webhook-") {
        return format!(
            "there are only {}: a proxy, or what kept this file, dropped the rest",
            there.join(", ")
        );
    }
    let foreign = SIGNATURES.iter().find(|(name, _)| headers.contains_key(*name));
    foreign.map_or_else(
        || {
            "it is not signed: a proxy dropped the svix-* or webhook-* headers, or no provider sent it"
                .to_owned()
        },
        |(name, whose)| {
            format!(
                "its `{name}` is that of {whose}: does {path} have the right \
            `provider`, and the URL the right source?"
            )
        },
    )
}

fn no_suspect(evidence: &Evidence<'_>, path: &str) -> String {
    let is_signature = |name: &str| name == "svix-signature" || name == "webhook-signature";
    let mut signatures = evidence.headers.iter().filter(|(name, _)| is_signature(name.as_str()));
    if !signatures.any(|(_, value)| value.to_str().is_ok_and(|text| text.contains("v1,"))) {
        return "the signature header holds no `v1,…`: it is of another scheme, or was cut".to_owned();
    }
    format!(
        "put this endpoint's own secret in webhook_secrets of {path}: the provider's page for this very \
            URL shows it, and each endpoint and environment has another. If it is that one, the body, \
            the id or the timestamp was changed on its way (or the two files are of different \
            requests)"
    )
}
