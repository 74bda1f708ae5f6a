//! `USERSYNC_SECTION__KEY` over the file, for every key of the schema.

use std::collections::BTreeMap;

use toml::Value;

use super::error::{Fault, Problems, fault};
use super::schema::{self, Shape};
use super::tree::{Step, Tree};

const PREFIX: &str = "USERSYNC_";
/// More sources or rules than anyone has; keeps a slip from filling the memory.
const MOST_IN_A_LIST: usize = 1000;

/// Puts the variables over the tree: `DATABASE_URL` first, so that `USERSYNC_DATABASE__URL` wins over it.
///
/// An empty variable counts as unset, for that is how container tools pass an absent one. Variables without
/// `__` (`USERSYNC_CONFIG`) are not keys and left alone, but for those that would be one with it.
pub(super) fn apply(tree: &mut Tree, environment: &BTreeMap<String, String>, problems: &Problems) {
    if let Some(url) = environment.get("DATABASE_URL").filter(|url| !url.trim().is_empty()) {
        let steps = [Step::Key("database"), Step::Key("url")];
        tree.set(&steps, Value::String(url.clone()), "DATABASE_URL");
    }
    for (variable, text) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        if !name.contains("__") {
            if let Some(meant) = meant_by(name) {
                problems.add(variable, fault("sets no known key", format!("did you mean {meant}?")));
            }
            continue;
        }
        let placed = locate(name).and_then(|(steps, shape)| Ok((steps, value(shape, text)?)));
        match placed {
            Ok((steps, value)) => tree.set(&steps, value, variable),
            Err(fault) => problems.add(variable, fault),
        }
    }
}

/// The variable with two underscores that one with a single one stands for.
fn meant_by(name: &str) -> Option<String> {
    let (section, key) = name.split_once('_')?;
    let (steps, _) = locate(&format!("{section}__{key}")).ok()?;
    Some(variable(&steps))
}

/// Follows a variable's name down the schema. Where it leaves the way, the nearest right name is in the
/// error.
fn locate(name: &str) -> Result<(Vec<Step>, Shape), Fault> {
    let mut shape = Shape::Table(schema::ROOT);
    let mut steps = Vec::new();
    let mut exact = true;
    for segment in name.split("__") {
        if let Shape::Tables(keys) = shape {
            shape = Shape::Table(keys);
            let index = segment.parse().ok().filter(|index| *index < MOST_IN_A_LIST);
            steps.push(Step::Index(index.unwrap_or(0)));
            if index.is_some() {
                continue;
            }
            // The index was forgotten: go on as if the first had been meant.
            exact = false;
        }
        let Shape::Table(keys) = shape else {
            exact = false;
            break;
        };
        let known = schema::find(segment, keys);
        exact &= known.is_some();
        let Some((key, below)) = known.or_else(|| Some(schema::nearest(segment, keys)?.0)) else {
            return Err(fault("sets no known key", continuations(&steps, keys)));
        };
        steps.push(Step::Key(key));
        shape = below;
    }
    match (exact, shape) {
        (_, Shape::Table(_) | Shape::Tables(_)) => {
            Err(fault("names a section, not a key", format!("write {}__ and the key", variable(&steps))))
        }
        (false, _) => Err(fault("sets no known key", format!("did you mean {}?", variable(&steps)))),
        (true, _) => Ok((steps, shape)),
    }
}

/// What may follow the steps that were right.
fn continuations(right: &[Step], keys: &[schema::Key]) -> String {
    let start = if right.is_empty() { PREFIX.to_owned() } else { format!("{}__", variable(right)) };
    format!("after {start} comes one of {}", schema::names(keys).to_uppercase())
}

fn variable(steps: &[Step]) -> String {
    let segments = steps.iter().map(|step| match step {
        Step::Key(name) => name.to_uppercase(),
        Step::Index(index) => index.to_string(),
    });
    format!("{PREFIX}{}", segments.collect::<Vec<_>>().join("__"))
}

fn value(shape: Shape, text: &str) -> Result<Value, Fault> {
    match (shape, text.trim()) {
        (Shape::Flag, "true" | "1") => Ok(Value::Boolean(true)),
        (Shape::Flag, "false" | "0") => Ok(Value::Boolean(false)),
        (Shape::Flag, _) => Err(fault("is neither true nor false", "write true or false")),
        (Shape::Texts, text) => Ok(Value::Array(split(text).into_iter().map(Value::String).collect())),
        (_, text) => Ok(Value::String(text.to_owned())),
    }
}

/// Splits at commas, but not at the one within Supabase's `v1,whsec_…`.
fn split(text: &str) -> Vec<String> {
    const WITHIN: &str = "v1,whsec_";
    const SHIELDED: &str = "v1\0whsec_";
    text.replace(WITHIN, SHIELDED)
        .split(',')
        .map(|part| part.trim().replace(SHIELDED, WITHIN))
        .filter(|part| !part.is_empty())
        .collect()
}
