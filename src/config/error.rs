//! What is wrong with the settings: collected, so that one start reports everything.

use std::cell::RefCell;
use std::fmt;

use super::tree::Tree;

/// One error: where it is, what is wrong, and what to do. Never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key's path (`sources[0].tokens[1].applicationID`), or the name of a variable or file.
    pub path: String,
    /// The variable that set the key, where it did not come from the file.
    pub variable: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, variable, problem, remedy } = self;
        match variable {
            Some(variable) => write!(f, "{path} (from {variable}): {problem}; {remedy}"),
            None => write!(f, "{path}: {problem}; {remedy}"),
        }
    }
}

/// Every error of the settings, at least one; shown one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn one(path: impl Into<String>, fault: ValueError) -> Self {
        Self(vec![fault.at(path.into())])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let end_of_last = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// An error without its path: what a parser of one value returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValueError {
    problem: String,
    pub(super) remedy: String,
}

/// Says what is wrong, and what to do.
pub(super) fn fault(problem: impl Into<String>, remedy: impl Into<String>) -> ValueError {
    ValueError { problem: problem.into(), remedy: remedy.into() }
}

impl ValueError {
    fn at(self, path: String) -> ConfigError {
        ConfigError { path, variable: None, problem: self.problem, remedy: self.remedy }
    }
}

/// The errors found so far; shared by all slots of one tree.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<ConfigError>>);

impl Problems {
    /// Reports an error at `path`.
    pub(super) fn add(&self, path: impl Into<String>, fault: ValueError) {
        self.0.borrow_mut().push(fault.at(path.into()));
    }

    /// The result if nothing was wrong, else every error, with the variable that it came from.
    pub(super) fn finish<T>(self, result: T, tree: &Tree) -> Result<T, ConfigErrors> {
        let mut errors = self.0.into_inner();
        if errors.is_empty() {
            return Ok(result);
        }
        for error in &mut errors {
            error.variable = tree.origin(&error.path).map(str::to_owned);
        }
        Err(ConfigErrors(errors))
    }
}
