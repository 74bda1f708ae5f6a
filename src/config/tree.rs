//! File and environment as one tree of values that remembers which variable set what.

use std::collections::BTreeMap;
use std::fmt::Write;

use toml::{Table, Value};

use super::text;

/// One step down the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a table.
    Key(&'static str),
    /// Into a list.
    Index(usize),
}

/// The merged settings, not yet checked.
pub(super) struct Tree {
    root: Value,
    /// Variable names by the path that they set.
    origins: BTreeMap<String, String>,
}

impl Tree {
    /// A tree that holds a file's content.
    pub(super) fn new(root: Table) -> Self {
        Self { root: Value::Table(root), origins: BTreeMap::new() }
    }

    /// Everything in it.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// How many sources there are.
    pub(super) fn count_sources(&self) -> usize {
        self.sources().len()
    }

    /// Whether a source of this name is there.
    pub(super) fn has_source(&self, name: &str) -> bool {
        self.sources().iter().any(|source| {
            source.get("name").and_then(Value::as_str).is_some_and(|there| text::clean(there) == name)
        })
    }

    fn sources(&self) -> &[Value] {
        self.root.get("sources").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Puts `value` at the end of `steps`, over what is there, and remembers the variable that it came from.
    ///
    /// Where the file has something else in the way (a number for a table), nothing is put: the check of the
    /// forms reports that.
    pub(super) fn set(&mut self, steps: &[Step], value: Value, variable: &str) {
        let mut slot = &mut self.root;
        for (position, step) in steps.iter().enumerate() {
            let after = &steps[position + 1..];
            slot = match (step, slot) {
                (Step::Key(name), Value::Table(table)) => {
                    table.entry(*name).or_insert_with(|| empty_before(after))
                }
                (Step::Index(index), Value::Array(list)) => {
                    while list.len() <= *index {
                        list.push(empty_before(after));
                    }
                    &mut list[*index]
                }
                _ => return,
            };
        }
        *slot = value;
        self.origins.insert(path_of(steps), variable.to_owned());
    }

    /// The variable that set this path, or the list that it is an element of.
    pub(super) fn origin(&self, path: &str) -> Option<&str> {
        let list = path.rfind('[').map_or(path, |bracket| &path[..bracket]);
        self.origins.get(path).or_else(|| self.origins.get(list)).map(String::as_str)
    }
}

fn empty_before(steps: &[Step]) -> Value {
    match steps.first() {
        Some(Step::Index(_)) => Value::Array(Vec::new()),
        _ => Value::Table(Table::new()),
    }
}

/// `sources[0].tokens[1].applicationID`
pub(super) fn path_of(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |mut path, step| {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Key(name) if path.is_empty() => write!(path, "{name}"),
            Step::Key(name) => write!(path, ".{name}"),
            Step::Index(index) => write!(path, "[{index}]"),
        };
        path
    })
}
