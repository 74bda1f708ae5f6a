//! Which file, and its text as a tree.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;

use super::error::{ConfigErrors, fault};
use super::tree::Tree;

/// Read from the current directory when no other file is named.
const USUAL_FILE: &str = "usersync.toml";

/// The file's tree; an empty one if no file is named and the usual one is not there.
pub(super) fn read(
    named: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Tree, ConfigErrors> {
    let from_environment = environment.get("USERSYNC_CONFIG").filter(|name| !name.is_empty()).map(Path::new);
    match named.or(from_environment) {
        Some(path) => read_from(path),
        None if Path::new(USUAL_FILE).exists() => read_from(Path::new(USUAL_FILE)),
        None => Ok(Tree::new(Table::new())),
    }
}

fn read_from(path: &Path) -> Result<Tree, ConfigErrors> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let remedy = "check the name and the permissions, or leave --config and USERSYNC_CONFIG out";
        ConfigErrors::one(path.display().to_string(), fault(format!("cannot be read: {error}"), remedy))
    })?;
    let table = text.parse::<Table>().map_err(|error| syntax_error(path, &text, &error))?;
    Ok(Tree::new(table))
}

/// The parser's own display quotes the line, which may hold a secret: only its message and the place are
/// shown.
fn syntax_error(path: &Path, text: &str, error: &toml::de::Error) -> ConfigErrors {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    // Only the first line: what follows is a list of what the grammar would have taken.
    let message = error.message().lines().next().unwrap_or("unreadable").to_owned();
    ConfigErrors::one(
        format!("{}:{line}", path.display()),
        fault(format!("is not TOML: {message}"), "correct this line"),
    )
}
