//! A place in the tree of settings. Reading it gives a typed value; what is wrong is reported with its path,
//! and reading continues.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml::Value;

use super::error::{Problems, ValueError, fault};
use super::provider::ProviderKind;
use super::text;

/// What reading a value may depend on beside the value itself.
pub(super) struct Context<'a> {
    /// What `env:NAME` refers to.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// The registered providers.
    pub(super) providers: &'a [ProviderKind],
    /// `[tokens] allow_http`.
    pub(super) allow_http: bool,
    pub(super) problems: &'a Problems,
}

/// A place, and the value there. A value of the wrong type is treated as absent: the check of the
/// types has already reported it.
#[derive(Clone)]
pub(super) struct Slot<'a> {
    value: Option<&'a Value>,
    path: String,
    pub(super) context: &'a Context<'a>,
}

impl<'a> Slot<'a> {
    /// The place of the whole tree.
    pub(super) fn root(value: &'a Value, context: &'a Context<'a>) -> Self {
        Self { value: Some(value), path: String::new(), context }
    }

    /// The place of a key in this table.
    pub(super) fn key(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value: self.value.and_then(|value| value.get(name)), path, context: self.context }
    }

    /// The places in this list.
    pub(super) fn elements(&self) -> impl Iterator<Item = Self> {
        let list = self.value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().enumerate().map(|(index, value)| Self {
            value: Some(value),
            path: format!("{}[{index}]", self.path),
            context: self.context,
        })
    }

    /// The names in this table, and the places of their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let table = self.value.and_then(Value::as_table);
        table.into_iter().flatten().map(|(name, _)| (name.as_str(), self.key(name)))
    }

    /// Where it is, for a message: `sources[0].name`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether there is a value.
    pub(super) fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Whether there is a list with elements.
    pub(super) fn is_filled(&self) -> bool {
        self.elements().next().is_some()
    }

    /// Whether there is a list without elements.
    pub(super) fn is_empty_list(&self) -> bool {
        self.value.and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    /// Reports what is wrong here.
    pub(super) fn refuse(&self, fault: ValueError) {
        self.context.problems.add(&self.path, fault);
    }

    /// Reports that a value is needed here, if there is none.
    pub(super) fn require(&self, remedy: &str) {
        if !self.is_set() {
            self.refuse(fault("is missing", remedy));
        }
    }

    /// The value of a result; an error is reported.
    pub(super) fn accept<T>(&self, result: Result<T, ValueError>) -> Option<T> {
        result.map_err(|fault| self.refuse(fault)).ok()
    }

    /// A string without what is around it ([`text::clean`]); nothing is reported.
    pub(super) fn raw_text(&self) -> Option<&'a str> {
        self.value?.as_str().map(text::clean)
    }

    /// A string without what is around it ([`text::clean`]), or a bare number as one. Empty is refused.
    pub(super) fn text(&self) -> Option<String> {
        let text = match self.value? {
            Value::String(text) => text::clean(text).to_owned(),
            Value::Integer(number) => number.to_string(),
            _ => return None,
        };
        if text.is_empty() {
            self.refuse(fault("is empty", "give it a value or leave it out"));
            return None;
        }
        Some(text)
    }

    /// A parsed string.
    pub(super) fn parse<T>(&self, parse: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
        self.accept(parse(&self.text()?))
    }

    /// True or false.
    pub(super) fn flag(&self) -> Option<bool> {
        self.value?.as_bool()
    }

    /// A secret, looked up if it is `env:NAME` or `file:/path`.
    pub(super) fn secret(&self) -> Option<SecretString> {
        self.parse(|text| resolve(text, self.context.environment))
    }

    /// The secret that a part of this value is or refers to.
    pub(super) fn secret_of(&self, text: &str) -> Option<SecretString> {
        self.accept(resolve(text, self.context.environment))
    }
}

/// The secret itself, or what `env:NAME` or `file:/path` refers to, without what is around it.
fn resolve(reference: &str, environment: &BTreeMap<String, String>) -> Result<SecretString, ValueError> {
    let found = if let Some(name) = reference.strip_prefix("env:") {
        environment.get(name).cloned().ok_or_else(|| {
            fault(format!("the variable {name} is not set"), format!("set {name}, or correct its name"))
        })?
    } else if let Some(path) = reference.strip_prefix("file:") {
        let bytes = std::fs::read(path).map_err(|error| {
            fault(format!("the file {path} cannot be read: {error}"), "check its name and permissions")
        })?;
        String::from_utf8(bytes)
            .map_err(|_| fault(format!("the file {path} is not text in UTF-8"), "save it as UTF-8"))?
    } else {
        reference.to_owned()
    };
    let secret = text::clean(&found);
    if secret.is_empty() {
        return Err(fault(format!("{reference} is empty"), "put the secret in it"));
    }
    if text::has_loose_quote(secret) {
        let remedy = "remove it, or write one on both sides";
        return Err(fault("begins or ends with a quotation mark", remedy));
    }
    if text::has_invisible(secret) {
        let problem = "has a line break or another invisible character inside";
        return Err(fault(problem, "copy it again: one secret, on one line"));
    }
    Ok(SecretString::from(secret))
}
