//! What is generated from the settings, and committed: `default.toml`, the tables of `docs/configuration.md` and
//! the JSON Schema. `USERSYNC_GENERATE=1 cargo test --lib config` generates them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use toml::Table;

use super::super::Config;
use super::super::key::{Key, Shape};
use super::super::settings::Kind;
use super::load;
use crate::providers;

const WIDTH: usize = 118;

/// Two paragraphs: what a key is for, and what else there is to know.
fn paragraphs(key: &Key) -> Vec<String> {
    let lines: Vec<_> = key.about.doc.iter().map(|line| line.trim()).collect();
    lines.split(|line| line.is_empty()).map(|lines| lines.join(" ")).collect()
}

fn keys_of(shape: Shape) -> &'static [Key] {
    match shape {
        Shape::Table(keys) => keys,
        Shape::List(below) => keys_of(*below),
        _ => &[],
    }
}

/// The keys of a table, such as `sources.tokens`.
fn keys_at(path: &str) -> &'static [Key] {
    path.split('.').fold(keys_of(Config::SHAPE), |keys, name| keys_of(found(name, keys).shape))
}

fn found(name: &str, keys: &'static [Key]) -> Key {
    *keys.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("`{name}` is not a key"))
}

fn is_section(key: &Key) -> bool {
    matches!(key.shape, Shape::Table(_) | Shape::List(Shape::Table(_)))
}

/// The generated file is the committed one; with the variable set, it becomes so.
#[track_caller]
fn assert_committed(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("USERSYNC_GENERATE").is_some() {
        fs::write(&file, generated).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == generated,
        "{path} is not what the settings say: run USERSYNC_GENERATE=1 cargo test --lib config"
    );
}

mod default_file {
    use super::*;

    /// What it shows, the header of its table, its settings.
    type Example = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

    /// The example sources of the file. What they leave out of a table is added to the first example of that table.
    const EXAMPLES: &[Example] = &[
        (
            "",
            "[[sources]]",
            &[("name", "clerk"), ("provider", "clerk"), ("webhook_secrets", "env:CLERK_WEBHOOK_SECRET")],
        ),
        (
            "With keys and issuer by discovery.",
            "[[sources.tokens]]",
            &[
                ("type", "oidc"),
                ("domain", "https://verb-noun-00.clerk.accounts.dev"),
                ("applicationID", "convex"),
            ],
        ),
        ("", "[sources.api]", &[("secret_key", "env:CLERK_SECRET_KEY")]),
        (
            "",
            "[[sources]]",
            &[("name", "workos"), ("provider", "workos"), ("webhook_secrets", "env:WORKOS_WEBHOOK_SECRET")],
        ),
        (
            "With issuer and keys given here. Its applicationID may be left out only because the issuer belongs to one \
             application.",
            "[[sources.tokens]]",
            &[
                ("type", "customJwt"),
                ("issuer", "https://api.workos.com/user_management/client_123"),
                ("jwks", "https://api.workos.com/sso/jwks/client_123"),
                ("algorithm", "RS256"),
            ],
        ),
        (
            "",
            "[[sources]]",
            &[("name", "auth0"), ("provider", "auth0"), ("bearer_tokens", "env:AUTH0_EVENT_STREAM_TOKEN")],
        ),
        (
            "",
            "[sources.api]",
            &[
                ("domain", "tenant.us.auth0.com"),
                ("client_id", "client-id"),
                ("client_secret", "env:AUTH0_MANAGEMENT_CLIENT_SECRET"),
            ],
        ),
        (
            "Any other provider that signs by Standard Webhooks, or sends a bearer token.",
            "[[sources]]",
            &[("name", "other"), ("provider", "standard"), ("bearer_tokens", "env:OTHER_BEARER_TOKEN")],
        ),
        ("", "[sources.map]", &[]),
        (
            "",
            "[sources.map.profile]",
            &[
                ("name", "/data/name"),
                ("givenName", "/data/given_name"),
                ("familyName", "/data/family_name"),
                ("nickname", "/data/nickname"),
                ("email", "/data/email"),
                ("emailVerified", "/data/email_verified"),
                ("phoneNumber", "/data/phone_number"),
                ("phoneNumberVerified", "/data/phone_number_verified"),
                ("pictureUrl", "/data/picture"),
                ("metadata", "/data/metadata"),
            ],
        ),
        ("", "[sources.list]", &[("method", "POST")]),
        ("", "[sources.list.auth]", &[]),
        ("", "[sources.list.next]", &[]),
        ("", "[sources.list.map]", &[]),
        (
            "",
            "[sources.list.map.profile]",
            &[
                ("name", "/name"),
                ("givenName", "/given_name"),
                ("familyName", "/family_name"),
                ("nickname", "/nickname"),
                ("email", "/email"),
                ("emailVerified", "/email_verified"),
                ("phoneNumber", "/phone_number"),
                ("phoneNumberVerified", "/phone_number_verified"),
                ("pictureUrl", "/picture"),
                ("metadata", "/metadata"),
            ],
        ),
        (
            "",
            "[[endpoints]]",
            &[
                ("name", "app"),
                ("url", "https://app.example.com/hooks/users"),
                ("secrets", "env:APP_WEBHOOK_SECRET"),
            ],
        ),
        ("", "[events]", &[]),
    ];

    fn comment(text: &str) -> String {
        let mut lines = vec![String::from("#")];
        for word in text.split_whitespace() {
            if lines.last().unwrap().len() + word.len() >= WIDTH {
                lines.push(String::from("#"));
            }
            write!(lines.last_mut().unwrap(), " {word}").unwrap();
        }
        if text.is_empty() { String::new() } else { lines.join("\n") + "\n" }
    }

    fn setting(key: &Key, value: &str, is_new: bool) -> String {
        let about = if is_new { comment(&paragraphs(key)[0]) } else { String::new() };
        format!("{about}#{} = {value}\n", key.name)
    }

    fn in_toml(key: &Key, text: &str) -> String {
        if matches!(key.shape, Shape::List(_)) { format!("[{text:?}]") } else { format!("{text:?}") }
    }

    fn generated() -> String {
        let mut file = String::from(
            "# usersync.toml: every setting there is. What is commented out shows its default, or an example.\n\
             # Every key also as a variable, which wins over this file: USERSYNC_SERVER__LISTEN, \
             USERSYNC_SOURCES__0__NAME.\n# A secret may be \"env:NAME\" or \"file:/path\".\n",
        );
        let is_example =
            |key: &Key| EXAMPLES.iter().any(|(_, header, _)| *header == format!("[{}]", key.name));
        let is_shown = |key: &&Key| matches!(key.shape, Shape::Table(_)) && !is_example(key);
        for section in keys_of(Config::SHAPE).iter().filter(is_shown) {
            write!(file, "\n{}[{}]\n", comment(&paragraphs(section)[0]), section.name).unwrap();
            for key in keys_of(section.shape) {
                let value = (key.about.default)().or(key.about.example.map(str::to_owned));
                file += &setting(key, &value.expect("a default or an example"), true);
            }
        }
        let mut known = Vec::new();
        for (index, (about, header, settings)) in EXAMPLES.iter().enumerate() {
            let path = header.trim_matches(['[', ']']);
            let keys = keys_at(path);
            let is_first = !EXAMPLES[..index].iter().any(|(_, earlier, _)| earlier == header);
            let of_table = if is_first {
                let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
                let above = if above.is_empty() { keys_of(Config::SHAPE) } else { keys_at(above) };
                paragraphs(&found(name, above))[0].clone()
            } else {
                String::new()
            };
            write!(file, "\n{}{}#{header}\n", comment(&of_table), comment(about)).unwrap();
            for (name, text) in *settings {
                let key = found(name, keys);
                file += &setting(
                    &key,
                    &in_toml(&key, text),
                    !key.about.doc.is_empty() && !known.contains(&(path, *name)),
                );
                known.push((path, *name));
            }
            let shown = |key: &Key| {
                EXAMPLES.iter().any(|(_, other, settings)| {
                    other == header && settings.iter().any(|(name, _)| *name == key.name)
                })
            };
            for key in keys.iter().filter(|key| is_first && !is_section(key) && !shown(key)) {
                let value = key.about.example.map(str::to_owned).or((key.about.default)());
                file += &setting(key, &value.expect("a default or an example"), true);
            }
        }
        file
    }

    #[test]
    fn it_is_what_the_settings_say() {
        assert_committed("src/config/default.toml", &generated());
    }

    /// The default file with its settings uncommented: prose begins with `# `, a setting with `#`.
    fn uncommented() -> String {
        generated()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn keys_in(table: &Table, found: &mut Vec<String>, path: &str) {
        // What begins with a slash is a pointer, which is not a key but a value.
        for (key, value) in table.iter().filter(|(key, _)| !key.starts_with('/')) {
            let path = format!("{path}.{key}");
            match value {
                toml::Value::Table(table) => keys_in(table, found, &path),
                toml::Value::Array(list) => {
                    let tables = list.iter().filter_map(toml::Value::as_table);
                    tables.for_each(|table| keys_in(table, found, &path));
                }
                _ => {}
            }
            found.push(path);
        }
    }

    fn keys_known(keys: &[Key], known: &mut Vec<String>, path: &str) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            keys_known(keys_of(key.shape), known, &path);
            known.push(path);
        }
    }

    #[test]
    fn every_known_key_stands_in_it_and_no_other() {
        let (mut found, mut known) = (Vec::new(), Vec::new());
        keys_in(&uncommented().parse().unwrap(), &mut found, "");
        keys_known(keys_of(Config::SHAPE), &mut known, "");
        found.sort();
        found.dedup();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn it_is_valid_when_it_is_uncommented() {
        let variables = [
            ("CLERK_WEBHOOK_SECRET", super::super::SECRET),
            ("WORKOS_WEBHOOK_SECRET", "secret"),
            ("OTHER_BEARER_TOKEN", "token"),
            ("CLERK_SECRET_KEY", "sk_test_1"),
            ("AUTH0_EVENT_STREAM_TOKEN", "token"),
            ("AUTH0_MANAGEMENT_CLIENT_SECRET", "secret"),
            ("SERVICE_KEY", "key"),
            ("APP_WEBHOOK_SECRET", super::super::SECRET),
            ("API_SECRET", "secret"),
            ("CLIENT_SECRET", "secret"),
        ];
        let config = load(&uncommented(), &variables).unwrap();
        let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["clerk", "workos", "auth0", "other"]);
    }

    #[test]
    fn what_it_shows_outside_the_examples_are_the_defaults() {
        let text = uncommented();
        let (settings, _sources) = text.split_once("[[sources]]").unwrap();
        let without_default = ["metrics_listen = ", "direct_url = ", "listen = \"127.0.0.1:8790\""];
        let settings = without_default.iter().fold(settings.to_owned(), |text, key| text.replace(key, "# "));
        let shown = format!("{:?}", load(&settings, &[]).unwrap());
        assert_eq!(shown, format!("{:?}", Config::default()));
        assert_eq!(shown, format!("{:?}", load(&generated(), &[]).unwrap()));
    }

    #[test]
    fn the_database_shown_is_the_default() {
        assert!(generated().contains("\n#url = \"sqlite://usersync.db?mode=rwc\"\n"));
        let default = Config::default().database.url;
        assert_eq!(super::super::shown(&[default]), ["sqlite://usersync.db?mode=rwc"]);
    }
}

mod documentation {
    use super::*;

    const FILE: &str = "docs/configuration.md";

    fn table_of(path: &str) -> String {
        let is_list = path.starts_with("sources") || path == "endpoints";
        let mut table = String::from("| key | default | |\n|---|---|---|\n");
        if !is_list {
            table = String::from("| key | default | variable | |\n|---|---|---|---|\n");
        }
        for key in keys_at(path).iter().filter(|key| !is_list || !key.about.doc.is_empty()) {
            let default = match (key.about.is_required, (key.about.default)()) {
                (true, _) => "required".to_owned(),
                (false, Some(default)) if default != "[]" => format!("`{default}`"),
                (false, _) => "none".to_owned(),
            };
            let variable = format!("`USERSYNC_{}__{}`", path.to_uppercase(), key.name.to_uppercase());
            let variable = if is_list { String::new() } else { format!("{variable} | ") };
            let about = paragraphs(key).join(" ").replace('|', "\\|");
            writeln!(table, "| `{}` | {default} | {variable}{about} |", key.name).unwrap();
        }
        table
    }

    /// The page with each table between `<!-- keys: PATH -->` and `<!-- end -->` generated.
    fn generated(page: &str) -> String {
        let mut parts = page.split("<!-- keys: ");
        let mut new = parts.next().unwrap().to_owned();
        for part in parts {
            let (path, rest) = part.split_once(" -->").unwrap();
            let (_old, rest) = rest.split_once("<!-- end -->").unwrap();
            write!(new, "<!-- keys: {path} -->\n{}<!-- end -->{rest}", table_of(path)).unwrap();
        }
        new
    }

    #[test]
    fn its_tables_are_what_the_settings_say() {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
        assert_committed(FILE, &generated(&page));
    }

    #[test]
    fn it_has_a_table_for_every_section() {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
        for section in keys_of(Config::SHAPE) {
            assert!(page.contains(&format!("<!-- keys: {} -->", section.name)), "{}", section.name);
        }
    }
}

mod schema {
    use super::*;

    fn of_value(shape: Shape) -> Value {
        match shape {
            Shape::Text | Shape::Duration => json!({"type": "string"}),
            Shape::Choice(words) => json!({"enum": words}),
            Shape::Flag => json!({"type": "boolean"}),
            Shape::Size => json!({"type": ["string", "integer"]}),
            Shape::Count(least) => json!({"type": "integer", "minimum": least, "maximum": 1_000_000}),
            Shape::List(element) => json!({"type": "array", "items": of_value(*element)}),
            Shape::Pairs => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Shape::Table(keys) => {
                let properties: Map<_, _> =
                    keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
                let required: Vec<_> =
                    keys.iter().filter(|key| key.about.is_required).map(|key| key.name).collect();
                let mut table =
                    json!({"type": "object", "additionalProperties": false, "properties": properties});
                if !required.is_empty() {
                    table["required"] = json!(required);
                }
                table
            }
        }
    }

    fn of_key(key: &Key) -> Value {
        let mut schema = of_value(key.shape);
        let about = paragraphs(key).join("\n\n");
        if !about.is_empty() {
            schema["description"] = json!(about);
        }
        let in_json = |text: String| {
            let table: Table = format!("it = {text}").parse().unwrap();
            serde_json::to_value(&table["it"]).unwrap()
        };
        if let Some(default) = (key.about.default)().filter(|_| !key.about.is_required) {
            schema["default"] = in_json(default);
        }
        if let Some(example) = key.about.example {
            schema["examples"] = json!([in_json(example.to_owned())]);
        }
        schema
    }

    fn generated() -> Value {
        let mut schema = of_value(Config::SHAPE);
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema["title"] = json!("usersync.toml");
        // `example` is a provider of the tests alone.
        let kinds = providers::kinds();
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).filter(|name| *name != "example").collect();
        schema["properties"]["sources"]["items"]["properties"]["provider"]["enum"] = json!(names);
        schema
    }

    #[test]
    fn it_is_what_the_settings_say() {
        let text = serde_json::to_string_pretty(&generated()).unwrap() + "\n";
        assert_committed("docs/usersync.schema.json", &text);
    }

    /// The dialects have fixed names; an editor that does not know the name may ignore the schema.
    #[test]
    fn its_dialect_is_draft_07() {
        let schema: Value = serde_json::from_str(include_str!("../../../docs/usersync.schema.json")).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
}
