//! `USERSYNC_SECTION__KEY` over the file, for every key.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::{Problems, ValueError, fault};
use super::key::{self, Key, Shape};
use super::text;
use super::tree::{Step, Tree};

const PREFIX: &str = "USERSYNC_";
const PORT: &str = "PORT";
/// More sources or rules than anyone has: a mistyped index must not fill the memory.
const MOST_IN_A_LIST: usize = 1000;

/// Puts the variables over the tree, whose keys are those of `root`. `USERSYNC_DATABASE__URL` wins over
/// `DATABASE_URL`, and `USERSYNC_DATABASE__DIRECT_URL` over `DIRECT_URL`.
///
/// An empty variable counts as unset: container tools pass an absent one so. Variables without `__`
/// (`USERSYNC_CONFIG`) are not keys. They are ignored, unless they would be a key with two underscores.
pub(super) fn apply(
    tree: &mut Tree,
    root: Shape,
    environment: &BTreeMap<String, String>,
    problems: &Problems,
) {
    for (variable, key) in [("DATABASE_URL", "url"), ("DIRECT_URL", "direct_url")] {
        if let Some(url) = environment.get(variable).filter(|url| !text::clean(url).is_empty()) {
            let steps = [Step::Key("database"), Step::Key(key)];
            tree.set(&steps, Value::String(url.clone()), variable);
        }
    }
    for (variable, text) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if text::clean(text).is_empty() {
            continue;
        }
        if !name.contains("__") {
            if let Some(meant) = meant_by(name, root) {
                problems.add(variable, fault("sets no known key", format!("did you mean {meant}?")));
            }
            continue;
        }
        let placed = locate(name, root).and_then(|(steps, shape)| Ok((steps, value(shape, text)?)));
        match placed {
            Ok((steps, value)) => tree.set(&steps, value, variable),
            Err(fault) => problems.add(variable, fault),
        }
    }
    listen_at_port(tree, environment, problems);
}

/// Hosts such as Heroku, Railway and Cloud Run set the port in `PORT`. A configured address takes precedence.
fn listen_at_port(tree: &mut Tree, environment: &BTreeMap<String, String>, problems: &Problems) {
    let port = environment.get(PORT).map(|text| text::clean(text)).filter(|text| !text.is_empty());
    let is_set = tree.root().get("server").is_some_and(|server| server.get("listen").is_some());
    let Some(port) = port.filter(|_| !is_set) else { return };
    if let Ok(port) = port.parse::<u16>() {
        let steps = [Step::Key("server"), Step::Key("listen")];
        tree.set(&steps, Value::String(format!("[::]:{port}")), PORT);
    } else {
        let remedy = "write a number up to 65535, or unset it";
        problems.add(PORT, fault(format!("`{port}` is not a port"), remedy));
    }
}

/// The variable with two underscores that was meant by one with a single underscore.
fn meant_by(name: &str, root: Shape) -> Option<String> {
    let (section, key) = name.split_once('_')?;
    let (steps, _) = locate(&format!("{section}__{key}"), root).ok()?;
    Some(variable(&steps))
}

/// Follows a variable's name down the tables of keys. Where it names no key, the nearest right name is in the error.
fn locate(name: &str, root: Shape) -> Result<(Vec<Step>, Shape), ValueError> {
    let mut shape = root;
    let mut steps = Vec::new();
    let mut exact = true;
    for segment in name.split("__") {
        if let Shape::List(table @ Shape::Table(_)) = shape {
            shape = *table;
            let index = segment.parse().ok().filter(|index| *index < MOST_IN_A_LIST);
            steps.push(Step::Index(index.unwrap_or(0)));
            if index.is_some() {
                continue;
            }
            // The index is missing: continue as if it were 0.
            exact = false;
        }
        let Shape::Table(keys) = shape else {
            exact = false;
            break;
        };
        let known = key::find(segment, keys);
        exact &= known.is_some();
        let Some(found) = known.or_else(|| Some(key::nearest(segment, keys)?.0)) else {
            return Err(fault("sets no known key", continuations(&steps, keys)));
        };
        steps.push(Step::Key(found.name));
        shape = found.shape;
    }
    match (exact, shape) {
        (_, Shape::Table(_) | Shape::List(Shape::Table(_))) => {
            Err(fault("names a section, not a key", format!("write {}__ and the key", variable(&steps))))
        }
        (false, _) => Err(fault("sets no known key", format!("did you mean {}?", variable(&steps)))),
        (true, _) => Ok((steps, shape)),
    }
}

/// What may follow the steps that were right.
fn continuations(right: &[Step], keys: &[Key]) -> String {
    let start = if right.is_empty() { PREFIX.to_owned() } else { format!("{}__", variable(right)) };
    format!("{start} must be followed by one of {}", key::names(keys).to_uppercase())
}

fn variable(steps: &[Step]) -> String {
    let segments = steps.iter().map(|step| match step {
        Step::Key(name) => name.to_uppercase(),
        Step::Index(index) => index.to_string(),
    });
    format!("{PREFIX}{}", segments.collect::<Vec<_>>().join("__"))
}

fn value(shape: Shape, text: &str) -> Result<Value, ValueError> {
    match (shape, text::clean(text)) {
        (Shape::Flag, "true" | "1") => Ok(Value::Boolean(true)),
        (Shape::Flag, "false" | "0") => Ok(Value::Boolean(false)),
        (Shape::Flag, _) => Err(fault("is neither true nor false", "write true or false")),
        (Shape::List(_), text) => Ok(Value::Array(split(text).into_iter().map(Value::String).collect())),
        (Shape::Pairs, text) => {
            split(text).iter().map(|pair| entry(pair)).collect::<Result<Table, _>>().map(Value::Table)
        }
        (_, text) => Ok(Value::String(text.to_owned())),
    }
}

fn entry(pair: &str) -> Result<(String, Value), ValueError> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| fault("has an entry without =", "write NAME=VALUE, and a comma before the next"))?;
    Ok((name.trim().to_owned(), Value::String(value.trim().to_owned())))
}

/// Splits at commas, but not at the one within Supabase's `v1,whsec_…`.
fn split(text: &str) -> Vec<String> {
    const WITHIN: &str = "v1,whsec_";
    const SHIELDED: &str = "v1\0whsec_";
    text.replace(WITHIN, SHIELDED)
        .split(',')
        .map(|part| text::clean(part).replace(SHIELDED, WITHIN))
        .filter(|part| !part.is_empty())
        .collect()
}
