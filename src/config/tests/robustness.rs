//! The reader of the settings meets anything: any file, any variables.

use std::collections::BTreeMap;
use std::io::Write;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use toml::{Table, Value};

use super::super::key::{Key, Shape};
use super::super::settings::Kind;
use super::super::{Config, ConfigErrors};
use crate::providers;

/// No message may contain it. It is used where a secret can be, with any text around it.
const MARK: &str = "hunter2";

/// The keys whose value is a secret.
const SECRETS: [&str; 4] = ["url", "direct_url", "webhook_secrets", "bearer_tokens"];

fn secret() -> impl Strategy<Value = String> {
    let before = select(vec![
        "",
        "whsec_",
        "v1,whsec_",
        "postgres://u:",
        "sqlite://",
        "mysql://u:",
        "Bearer ",
        "\"",
        "\u{feff}",
    ]);
    let after = select(vec!["", "#@h/d", "@h/d", "@a,b/d", "!", "\n", "\"", "\0", "|", " x"]);
    (before, after).prop_map(|(before, after)| format!("{before}{MARK}{after}"))
}

fn word() -> impl Strategy<Value = String> {
    let known = [
        "",
        "clerk",
        "auth0",
        "workos",
        "standard",
        "oidc",
        "customJwt",
        "RS256",
        "none",
        "https://a.example.com",
        "http://a.example.com",
        "/id",
        "delivery",
        "reusable",
        "127.0.0.1:1",
        "10m",
        "1MiB",
        "0",
        "*",
        "https://*.a.b",
        "env:A",
        "file:/nowhere",
        "data:,{}",
        "true",
        "[",
        "\u{feff}",
    ];
    prop_oneof![3 => select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

/// A value of any form.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        word().prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Boolean),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map(word(), inner, 0..3).prop_map(|table| Value::Table(table.into_iter().collect())),
        ]
    })
}

/// A value of the form that the key has, more often than not.
fn value_of(key: Key) -> BoxedStrategy<Value> {
    let right = if SECRETS.contains(&key.name) {
        of_shape(key.shape, secret().boxed())
    } else {
        of_shape(key.shape, word().boxed())
    };
    prop_oneof![6 => right, 1 => anything()].boxed()
}

fn of_shape(shape: Shape, text: BoxedStrategy<String>) -> BoxedStrategy<Value> {
    match shape {
        Shape::Table(keys) => table(keys).prop_map(Value::Table).boxed(),
        Shape::List(element) => vec(of_shape(*element, text), 0..3).prop_map(Value::Array).boxed(),
        Shape::Pairs => btree_map(word(), text.prop_map(Value::String), 0..3)
            .prop_map(|table| Value::Table(table.into_iter().collect()))
            .boxed(),
        Shape::Flag => any::<bool>().prop_map(Value::Boolean).boxed(),
        Shape::Count(_) | Shape::Size => any::<i64>().prop_map(Value::Integer).boxed(),
        Shape::Text | Shape::Choice(_) | Shape::Duration => text.prop_map(Value::String).boxed(),
    }
}

/// Some of the keys, and sometimes one that is not known.
fn table(keys: &'static [Key]) -> BoxedStrategy<Table> {
    let entries: Vec<_> = keys
        .iter()
        .map(|key| proptest::option::of(value_of(*key)).prop_map(|value| (key.name.to_owned(), value)))
        .collect();
    let unknown = btree_map(word(), anything(), 0..2);
    (entries, unknown)
        .prop_map(|(entries, unknown)| {
            let known = entries.into_iter().filter_map(|(name, value)| Some((name, value?)));
            unknown.into_iter().chain(known).collect()
        })
        .boxed()
}

fn root() -> &'static [Key] {
    match Config::SHAPE {
        Shape::Table(keys) => keys,
        _ => &[],
    }
}

/// Variables of the program's own names, right and wrong, and those of the providers.
fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names = [
        "PORT",
        "USERSYNC_CONFIGS",
        "USERSYNC_SERVER__LISTEN",
        "USERSYNC_SERVR__LISTEN",
        "USERSYNC_SERVER_LISTEN",
        "USERSYNC_SOURCES__0__NAME",
        "USERSYNC_SOURCES__999__NAME",
        "USERSYNC_SOURCES__0__MAP__ONLY",
        "USERSYNC_SOURCES__0__TOKENS__0__TYPE",
        "USERSYNC_SOURCES__NAME",
        "USERSYNC_SOURCES",
        "USERSYNC___",
        "USERSYNC_",
        "CLERK_JWT_ISSUER_DOMAIN",
        "CLERK_JWT_AUDIENCE",
        "AUTH0_DOMAIN",
        "AUTH0_CLIENT_ID",
        "WORKOS_CLIENT_ID",
        "A",
    ];
    let secrets = [
        "DATABASE_URL",
        "DIRECT_URL",
        "USERSYNC_DATABASE__URL",
        "USERSYNC_SOURCES__0__WEBHOOK_SECRETS",
        "USERSYNC_SOURCES__1__BEARER_TOKENS",
        "CLERK_WEBHOOK_SECRET",
        "AUTH0_WEBHOOK_SECRET",
        "AUTH0_EVENT_STREAM_TOKEN",
        "WORKOS_WEBHOOK_SECRET",
    ];
    let free = ("USERSYNC_[A-Z_0-9]{0,30}", word());
    let usual = (select(names.to_vec()).prop_map(str::to_owned), word());
    let secret = (select(secrets.to_vec()).prop_map(str::to_owned), secret());
    let variable = prop_oneof![1 => free, 4 => usual, 2 => secret];
    vec(variable, 0..8).prop_map(|list| list.into_iter().collect())
}

fn load(file: &[u8], environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file).unwrap();
    Config::load(Some(on_disk.path()), environment, &providers::kinds())
}

/// Each error has a place, a problem and a fix; none shows a secret; none is reported twice.
fn check(result: Result<Config, ConfigErrors>) -> Result<(), TestCaseError> {
    let Err(errors) = result else { return Ok(()) };
    prop_assert!(errors.iter().next().is_some());
    let mut said: Vec<_> = errors.iter().map(ToString::to_string).collect();
    for error in errors.iter() {
        prop_assert!(!error.problem.trim().is_empty() && !error.remedy.trim().is_empty(), "{error}");
        prop_assert!(!error.path.is_empty() || error.problem == "is not a known key", "{error}");
    }
    let text = errors.to_string();
    prop_assert!(!text.contains(MARK), "{text}");
    said.sort();
    let count = said.len();
    said.dedup();
    prop_assert_eq!(count, said.len(), "{}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_table_and_any_variables_give_settings_or_errors_that_say_what_to_do(
        file in table(root()),
        variables in variables(),
    ) {
        check(load(file.to_string().as_bytes(), &variables))?;
    }

    #[test]
    fn any_bytes_give_settings_or_an_error(file in vec(any::<u8>(), 0..200), text in ".{0,200}") {
        check(load(&file, &BTreeMap::new()))?;
        check(load(text.as_bytes(), &BTreeMap::new()))?;
    }

    #[test]
    fn a_file_cut_off_anywhere_shows_no_secret(file in table(root()), at in any::<prop::sample::Index>()) {
        let text = file.to_string();
        let cut = &text.as_bytes()[..at.index(text.len() + 1)];
        check(load(cut, &BTreeMap::new()))?;
    }
}
