//! Takes typed values out of one table of the tree; what is wrong is noted with its path, and reading goes
//! on.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml::{Table, Value};

use super::error::{Fault, Problems, fault};
use super::secret;

/// One table and where it stands. Values of the wrong shape read as absent: the schema's check has noted
/// them.
pub(super) struct Reader<'a> {
    /// `None` where a section is left out: all its keys are absent then.
    table: Option<&'a Table>,
    path: String,
    environment: &'a BTreeMap<String, String>,
    problems: &'a Problems,
}

impl<'a> Reader<'a> {
    /// A reader of the whole tree; `environment` is what `env:NAME` refers to.
    pub(super) fn new(
        root: &'a Table,
        environment: &'a BTreeMap<String, String>,
        problems: &'a Problems,
    ) -> Self {
        Self { table: Some(root), path: String::new(), environment, problems }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.table?.get(key)
    }

    fn below(&self, table: Option<&'a Table>, path: String) -> Self {
        Self { table, path, environment: self.environment, problems: self.problems }
    }

    /// The path of a key here.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the key is there at all.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a list is there and has elements.
    pub(super) fn is_filled(&self, key: &str) -> bool {
        self.elements(key).next().is_some()
    }

    /// A text without the blanks around it; nothing is noted.
    pub(super) fn raw_text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str().map(str::trim)
    }

    /// Notes what is wrong with a key.
    pub(super) fn refuse(&self, key: &str, fault: Fault) {
        self.problems.add(self.path(key), fault);
    }

    /// The result's value, or its fault noted at the key.
    pub(super) fn accept<T>(&self, key: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.refuse(key, fault)).ok()
    }

    /// The section's reader, which finds nothing if the section is not there.
    pub(super) fn section(&self, key: &str) -> Self {
        self.below(self.get(key).and_then(Value::as_table), self.path(key))
    }

    /// A reader for each table of a list.
    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        self.elements(key).map(|(path, value)| self.below(value.as_table(), path)).collect()
    }

    fn elements(&self, key: &str) -> impl Iterator<Item = (String, &'a Value)> {
        let path = self.path(key);
        let list = self.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().enumerate().map(move |(index, value)| (format!("{path}[{index}]"), value))
    }

    /// A text without the blanks around it, or a bare number as one. Empty is refused.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = match self.get(key)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Integer(number) => number.to_string(),
            _ => return None,
        };
        self.accept(key, filled(text))
    }

    /// A parsed text, if the key is there.
    pub(super) fn optional<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
        self.accept(key, parse(&self.text(key)?))
    }

    /// A parsed text; noted as missing, with the remedy, if the key is not there.
    pub(super) fn required<T>(
        &self,
        key: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if !self.has(key) {
            self.refuse(key, fault("is missing", remedy));
        }
        self.optional(key, parse)
    }

    /// True or false, if the key is there.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// The elements of a list of texts, each parsed; what does not parse is noted and left out.
    pub(super) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Vec<T> {
        self.elements(key)
            .filter_map(|(path, value)| {
                let text = value.as_str()?.trim().to_owned();
                let parsed = filled(text).and_then(|text| parse(&text));
                parsed.map_err(|fault| self.problems.add(path, fault)).ok()
            })
            .collect()
    }

    /// A list that, if it is there, must not be empty: an empty one reads like a check but checks nothing.
    pub(super) fn filled_list<T>(
        &self,
        key: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let list = self.get(key)?.as_array()?;
        if list.is_empty() {
            self.refuse(key, fault("is an empty list", remedy));
        }
        Some(self.list(key, parse))
    }

    /// A secret, looked up if it is `env:NAME` or `file:/path`.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        self.optional(key, |text| secret::resolve(text, self.environment))
    }

    /// Secrets, each looked up and then parsed.
    pub(super) fn secrets<T>(&self, key: &str, parse: impl Fn(SecretString) -> Result<T, Fault>) -> Vec<T> {
        self.list(key, |text| secret::resolve(text, self.environment).and_then(&parse))
    }
}

/// A text as it is: the parser of keys that may hold anything.
#[expect(clippy::unnecessary_wraps, reason = "it stands where parsers stand")]
pub(super) fn any(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

fn filled(text: String) -> Result<String, Fault> {
    if text.is_empty() { Err(fault("is empty", "give it a value or leave it out")) } else { Ok(text) }
}
