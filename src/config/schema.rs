//! Every key that there is. The file, the environment and `default.toml` are all held against this one list.

use toml::{Table, Value};

use super::error::{Fault, Problems, fault};

/// A key's name and what stands there.
pub(super) type Key = (&'static str, Shape);

/// What stands at a key.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Flag,
    /// A number with its unit, as a text; the bare number is for the value's parser to take or refuse.
    Quantity,
    Count,
    Texts,
    Table(&'static [Key]),
    Tables(&'static [Key]),
}

use Shape::{Count, Flag, Quantity, Tables, Text, Texts};

/// The keys at the top.
pub(super) const ROOT: &[Key] = &[
    ("server", Shape::Table(SERVER)),
    ("limits", Shape::Table(LIMITS)),
    ("database", Shape::Table(&[("url", Text)])),
    ("tokens", Shape::Table(TOKENS)),
    ("journal", Shape::Table(&[("retention", Quantity)])),
    ("log", Shape::Table(&[("format", Text), ("level", Text)])),
    ("sources", Tables(SOURCE)),
];

const SERVER: &[Key] = &[
    ("listen", Text),
    ("metrics_listen", Text),
    ("body_limit", Quantity),
    ("cors_origins", Texts),
    ("trusted_proxies", Texts),
];

const LIMITS: &[Key] = &[
    ("requests_per_second", Count),
    ("burst", Count),
    ("streams_per_client", Count),
    ("streams", Count),
    ("connections", Count),
    ("send_timeout", Quantity),
];

const TOKENS: &[Key] = &[
    ("jwks_ttl", Quantity),
    ("jwks_cooldown", Quantity),
    ("fetch_timeout", Quantity),
    ("leeway", Quantity),
    ("allow_http", Flag),
];

const SOURCE: &[Key] = &[
    ("name", Text),
    ("provider", Text),
    ("webhook_secrets", Texts),
    ("bearer_tokens", Texts),
    ("tokens", Tables(RULE)),
    ("map", Shape::Table(MAP)),
];

const RULE: &[Key] = &[
    ("type", Text),
    ("domain", Text),
    ("algorithms", Texts),
    ("issuer", Text),
    ("jwks", Text),
    ("algorithm", Text),
    ("applicationID", Text),
    ("authorizedParties", Texts),
    ("allowPendingSessions", Flag),
];

const MAP: &[Key] = &[
    ("type", Text),
    ("upsert", Texts),
    ("delete", Texts),
    ("id", Text),
    ("created_at", Text),
    ("updated_at", Text),
    ("deleted_at", Text),
    ("ids", Text),
    ("profile", Shape::Table(PROFILE)),
];

/// The User's own names.
pub(super) const PROFILE: &[Key] = &[
    ("name", Text),
    ("givenName", Text),
    ("familyName", Text),
    ("nickname", Text),
    ("email", Text),
    ("emailVerified", Text),
    ("phoneNumber", Text),
    ("phoneNumberVerified", Text),
    ("pictureUrl", Text),
    ("metadata", Text),
];

/// The usual slips that no likeness of letters finds: what was written, the right key, why.
const SLIPS: &[(&str, &str, &str)] = &[
    ("aud", "applicationID", "it is what the token's `aud` must hold"),
    ("audience", "applicationID", "it is what the token's `aud` must hold"),
    ("client_id", "applicationID", "it is what the token's `aud` must hold, in ID tokens the client id"),
    ("azp", "authorizedParties", "they are what the token's `azp` may be"),
    ("alg", "algorithm", "on an oidc rule it is `algorithms`"),
    ("url", "domain", "on a customJwt rule it is `issuer`"),
    ("secret", "webhook_secrets", "it is a list, so that a secret can be rotated"),
    ("secrets", "webhook_secrets", "bearer tokens stand apart, in `bearer_tokens`"),
    ("type", "provider", "`type` stands in [[sources.tokens]] and [sources.map]"),
    ("host", "listen", "address and port stand together, as in \"127.0.0.1:8787\""),
    ("port", "listen", "address and port stand together, as in \"127.0.0.1:8787\""),
];

/// Less likeness than this (0 to 1) is no misspelling.
const LEAST_LIKENESS: f64 = 0.5;

/// The key of this name, in whatever case and with or without underscores: how the environment writes it.
pub(super) fn find(name: &str, keys: &'static [Key]) -> Option<Key> {
    keys.iter().copied().find(|(known, _)| plain(known) == plain(name))
}

/// The key that was probably meant, and why where that is not plain to see.
pub(super) fn nearest(name: &str, keys: &'static [Key]) -> Option<(Key, Option<&'static str>)> {
    let slip = SLIPS
        .iter()
        .filter(|(wrong, ..)| plain(wrong) == plain(name))
        .find_map(|(_, right, reason)| Some((find(right, keys)?, Some(*reason))));
    slip.or_else(|| {
        keys.iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(&plain(key.0), &plain(name)), *key))
            .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
            .max_by(|(left, _), (right, _)| left.total_cmp(right))
            .map(|(_, key)| (key, None))
    })
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Notes every key that is unknown and every value of the wrong shape.
pub(super) fn check(table: &Table, keys: &'static [Key], path: &str, problems: &Problems) {
    for (name, value) in table {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match keys.iter().find(|(known, _)| known == name) {
            Some((_, shape)) => check_shape(*shape, value, &path, problems),
            None => problems.add(path, unknown(name, keys)),
        }
    }
}

fn check_shape(shape: Shape, value: &Value, path: &str, problems: &Problems) {
    match (shape, value) {
        (Shape::Table(keys), Value::Table(table)) => check(table, keys, path, problems),
        (Tables(keys), Value::Array(list)) => {
            for (index, element) in list.iter().enumerate() {
                check_shape(Shape::Table(keys), element, &format!("{path}[{index}]"), problems);
            }
        }
        (Texts, Value::Array(list)) => {
            for (index, element) in list.iter().enumerate() {
                check_shape(Text, element, &format!("{path}[{index}]"), problems);
            }
        }
        // A variable's value is a text, whatever it means.
        (Text | Quantity | Count, Value::String(_))
        | (Quantity | Count, Value::Integer(_))
        | (Flag, Value::Boolean(_)) => {}
        _ => problems.add(path, fault(format!("is {}", a(value)), expected(shape, path))),
    }
}

fn a(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn expected(shape: Shape, path: &str) -> String {
    match shape {
        Text => "write a text in quotes".to_owned(),
        Flag => "write true or false, without quotes".to_owned(),
        Quantity => "write a number with its unit in quotes, such as \"10m\" or \"1MiB\"".to_owned(),
        Count => "write a whole number, without quotes".to_owned(),
        Texts => "write a list of texts: [\"…\"]".to_owned(),
        Shape::Table(_) => format!("write its keys under [{path}]"),
        Tables(_) => format!("write each one under [[{path}]]"),
    }
}

fn unknown(name: &str, keys: &'static [Key]) -> Fault {
    let remedy = match nearest(name, keys) {
        Some(((right, _), Some(reason))) => format!("write `{right}`: {reason}"),
        Some(((right, _), None)) => format!("did you mean `{right}`?"),
        None => format!("the keys here are {}", names(keys)),
    };
    fault("is not a known key", remedy)
}

/// The keys' names, for a message.
pub(super) fn names(keys: &[Key]) -> String {
    keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
