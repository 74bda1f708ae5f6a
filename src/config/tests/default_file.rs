use toml::{Table, Value};

use super::super::schema::{Key, ROOT, Shape};
use super::super::{Config, DEFAULT_FILE};
use super::load;

/// The default file with its settings uncommented: prose begins with `# `, a setting with `#`.
fn uncommented() -> String {
    DEFAULT_FILE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn keys_in(table: &Table, found: &mut Vec<String>, path: &str) {
    for (key, value) in table {
        let path = format!("{path}.{key}");
        match value {
            Value::Table(table) => keys_in(table, found, &path),
            Value::Array(list) => {
                list.iter().filter_map(Value::as_table).for_each(|table| keys_in(table, found, &path));
            }
            _ => {}
        }
        found.push(path);
    }
}

fn keys_known(keys: &[Key], known: &mut Vec<String>, path: &str) {
    for (name, shape) in keys {
        let path = format!("{path}.{name}");
        if let Shape::Table(below) | Shape::Tables(below) = shape {
            keys_known(below, known, &path);
        }
        known.push(path);
    }
}

#[test]
fn every_known_key_stands_in_it_and_no_other() {
    let (mut found, mut known) = (Vec::new(), Vec::new());
    keys_in(&uncommented().parse().unwrap(), &mut found, "");
    keys_known(ROOT, &mut known, "");
    found.sort();
    found.dedup();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn it_is_valid_when_it_is_uncommented() {
    let variables = [
        ("CLERK_WEBHOOK_SECRET", super::SECRET),
        ("WORKOS_WEBHOOK_SECRET", "secret"),
        ("OTHER_BEARER_TOKEN", "token"),
    ];
    let config = load(&uncommented(), &variables).unwrap();
    let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["clerk", "workos", "other"]);
}

#[test]
fn what_it_shows_outside_the_examples_are_the_defaults() {
    let text = uncommented();
    let (settings, _sources) = text.split_once("[[sources]]").unwrap();
    let settings = settings.replace("metrics_listen = ", "# ");
    let shown = format!("{:?}", load(&settings, &[]).unwrap());
    assert_eq!(shown, format!("{:?}", Config::default()));
    assert_eq!(shown, format!("{:?}", load(DEFAULT_FILE, &[]).unwrap()));
}

#[test]
fn the_database_shown_is_the_default() {
    assert!(DEFAULT_FILE.contains("\n#url = \"sqlite://usersync.db?mode=rwc\"\n"));
    let default = Config::default().database.url;
    assert_eq!(super::shown(&[default]), ["sqlite://usersync.db?mode=rwc"]);
}
