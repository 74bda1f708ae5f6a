//! Users in the files that providers export.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One user of a file, in the file's own form.
#[derive(Clone, Debug, PartialEq)]
pub enum FileUser {
    /// An object, as an API gives it or as an export writes it.
    Object(Value),
    /// A line of a table, by the names of its columns.
    Record(BTreeMap<String, String>),
}

impl FileUser {
    /// The text of a member or a column.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self {
            Self::Object(user) => user.get(name)?.as_str(),
            Self::Record(record) => record.get(name).map(String::as_str),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Object(user) => user.get(name).is_some(),
            Self::Record(record) => record.contains_key(name),
        }
    }
}

/// A line of a table, read by the names of its columns. An empty cell is no value.
pub(super) struct Record<'a>(pub(super) &'a BTreeMap<String, String>);

impl Record<'_> {
    /// The cell under a column, in whatever case the column's name is written.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.0.keys().any(|name| name.eq_ignore_ascii_case(column))
    }

    /// The values of a cell that holds several, separated by a bar or a comma.
    pub(super) fn list(&self, column: &str) -> Vec<&str> {
        let cell = self.get(column).unwrap_or_default();
        cell.split(['|', ',']).map(str::trim).filter(|value| !value.is_empty()).collect()
    }

    /// The cell as JSON: null where it is empty, and left out where there is no such column.
    pub(super) fn put(&self, column: &str, user: &mut Map<String, Value>, name: &str) {
        if self.has(column) {
            user.insert(name.to_owned(), self.get(column).map_or(Value::Null, Value::from));
        }
    }
}
