//! The settings as a whole: files and variables in, settings or errors out.

mod environment;
mod files;
mod generated;
mod maps;
mod robustness;
mod rules;
mod sources;
mod variables;

use std::collections::BTreeMap;
use std::io::Write;

use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigErrors, TokenRule};
use crate::providers;

/// Published by Svix as an example.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file.as_bytes()).unwrap();
    Config::load(Some(on_disk.path()), &environment(variables), &providers::kinds())
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The errors as shown, one a line.
fn errors(file: &str) -> String {
    errors_with(file, &[])
}

fn errors_with(file: &str, variables: &[(&str, &str)]) -> String {
    load(file, variables).unwrap_err().to_string()
}

#[track_caller]
fn assert_mentions(errors: &str, words: &[&str]) {
    for words in words {
        assert!(errors.contains(words), "{words:?} is not in:\n{errors}");
    }
}

/// A source with this one rule.
fn rule(rule: &str) -> String {
    format!("[[sources]]\nname = \"one\"\nprovider = \"clerk\"\n[[sources.tokens]]\n{rule}")
}

fn only_rule(config: &Config) -> &TokenRule {
    &config.sources[0].tokens[0]
}

fn shown(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}
