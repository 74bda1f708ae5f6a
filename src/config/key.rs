//! What can be set: the tables of keys, which the file and the environment are checked against.
//!
//! The tables are made by [`settings!`](super::settings), from the structs that hold the settings.

use toml::Value;

use super::error::{Problems, ValueError, fault};

/// One key of a table.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What only the generated documents need.
    #[cfg(test)]
    pub(super) about: About,
}

/// The description of a key in the generated documents.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(super) struct About {
    /// The lines of the field's doc comment.
    pub(super) doc: &'static [&'static str],
    pub(super) is_required: bool,
    /// A value in TOML, for a key that has no default.
    pub(super) example: Option<&'static str>,
    pub(super) default: fn() -> Option<String>,
}

impl Key {
    /// A key that needs no description of its own.
    pub(super) const fn plain(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            #[cfg(test)]
            about: About { doc: &[], is_required: false, example: None, default: || None },
        }
    }
}

/// What form a value has.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// A string that is one of these.
    Choice(&'static [&'static str]),
    Flag,
    /// A number with its unit, as a string. A bare number is left to the parser of the value.
    Duration,
    Size,
    /// A whole number that is at least this.
    Count(u32),
    /// A table of strings, whose keys are free.
    Pairs,
    Table(&'static [Key]),
    List(&'static Shape),
}

/// Usual mistakes that are not misspellings: what was written, the right key, the reason.
const COMMON_MISTAKES: &[(&str, &str, &str)] = &[
    ("aud", "applicationID", "it is what the token's `aud` must hold"),
    ("audience", "applicationID", "it is what the token's `aud` must hold"),
    ("client_id", "applicationID", "it is what the token's `aud` must hold, in ID tokens the client id"),
    ("azp", "authorizedParties", "they are the values that the token's `azp` may have"),
    ("alg", "algorithm", "on an oidc rule it is `algorithms`"),
    ("url", "domain", "on a customJwt rule it is `issuer`"),
    ("secret", "webhook_secrets", "it is a list, so that a secret can be rotated"),
    ("secrets", "webhook_secrets", "bearer tokens have a key of their own, `bearer_tokens`"),
    ("type", "provider", "`type` is a key of [[sources.tokens]] and [sources.map]"),
    ("host", "listen", "address and port are one value, as in \"127.0.0.1:8787\""),
    ("port", "listen", "address and port are one value, as in \"127.0.0.1:8787\""),
];

/// Names that are less similar than this (0 to 1) are not taken for a misspelling.
const LEAST_SIMILARITY: f64 = 0.5;

/// The key of this name, in any case and with or without underscores: the environment writes it so.
pub(super) fn find(name: &str, keys: &'static [Key]) -> Option<Key> {
    keys.iter().copied().find(|key| plain(key.name) == plain(name))
}

/// The key that was probably meant, and the reason where it is not a misspelling.
pub(super) fn nearest(name: &str, keys: &'static [Key]) -> Option<(Key, Option<&'static str>)> {
    let mistake = COMMON_MISTAKES
        .iter()
        .filter(|(wrong, ..)| plain(wrong) == plain(name))
        .find_map(|(_, right, reason)| Some((find(right, keys)?, Some(*reason))));
    mistake.or_else(|| {
        keys.iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(&plain(key.name), &plain(name)), *key))
            .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
            .max_by(|(left, _), (right, _)| left.total_cmp(right))
            .map(|(_, key)| (key, None))
    })
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Reports every unknown key and every value of another form.
pub(super) fn check(shape: Shape, value: &Value, path: &str, problems: &Problems) {
    match (shape, value) {
        (Shape::Table(keys), Value::Table(table)) => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match keys.iter().find(|key| key.name == name) {
                    Some(key) => check(key.shape, value, &path, problems),
                    None => problems.add(path, unknown(name, keys)),
                }
            }
        }
        (Shape::List(shape), Value::Array(list)) => {
            for (index, element) in list.iter().enumerate() {
                check(*shape, element, &format!("{path}[{index}]"), problems);
            }
        }
        (Shape::Pairs, Value::Table(table)) => {
            for (name, value) in table {
                check(Shape::Text, value, &format!("{path}.{name}"), problems);
            }
        }
        // A value from a variable is a string, whatever it means.
        (
            Shape::Text | Shape::Choice(_) | Shape::Duration | Shape::Size | Shape::Count(_),
            Value::String(_),
        )
        | (Shape::Duration | Shape::Size | Shape::Count(_), Value::Integer(_))
        | (Shape::Flag, Value::Boolean(_)) => {}
        _ => problems.add(path, fault(format!("is {}", form_of(value)), expected(shape, path))),
    }
}

fn form_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn expected(shape: Shape, path: &str) -> String {
    match shape {
        Shape::Text => "write a string in quotes".to_owned(),
        Shape::Choice(words) => format!("write one of these in quotes: {}", words.join(", ")),
        Shape::Flag => "write true or false, without quotes".to_owned(),
        Shape::Duration => "write a number with its unit in quotes, such as \"10m\"".to_owned(),
        Shape::Size => "write a number with its unit in quotes, such as \"1MiB\"".to_owned(),
        Shape::Count(least) => format!("write a whole number, without quotes, of at least {least}"),
        Shape::Pairs => "write a table of strings: { \"…\" = \"…\" }".to_owned(),
        Shape::Table(_) => format!("write its keys under [{path}]"),
        Shape::List(Shape::Table(_)) => format!("write each one under [[{path}]]"),
        Shape::List(_) => "write a list of strings: [\"…\"]".to_owned(),
    }
}

fn unknown(name: &str, keys: &'static [Key]) -> ValueError {
    let remedy = match nearest(name, keys) {
        Some((right, Some(reason))) => format!("write `{}`: {reason}", right.name),
        Some((right, None)) => format!("did you mean `{}`?", right.name),
        None => format!("the keys here are {}", names(keys)),
    };
    fault("is not a known key", remedy)
}

/// The keys' names, for a message.
pub(super) fn names(keys: &[Key]) -> String {
    keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}
