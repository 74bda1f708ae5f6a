//! The structure of the code: which module may depend on which, how large a file may be, and that the documents name
//! paths that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules that it may depend on. Every module may depend on [`COMMON`].
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 20] = [
    ("domain", &[]),
    ("clock", &[]),
    ("jobs", &[]),
    ("config", &[]),
    ("content_coding", &[]),
    ("outgoing", &[]),
    ("telemetry", &[]),
    ("signature", &[]),
    ("providers", &["signature"]),
    ("store", &[]),
    ("auth", &[]),
    ("pull", &["sync", "store", "providers"]),
    ("sync", &["store", "providers", "signature"]),
    // Sync only for its notifications.
    ("events", &["sync", "store", "signature"]),
    // Signature only for its errors, which become problems.
    ("http", &["events", "pull", "sync", "auth", "store", "providers", "signature"]),
    // Signature for the names of its checks.
    ("explain", &["auth", "providers", "signature"]),
    ("keys", &["auth", "store"]),
    ("console", &["http", "explain", "keys", "events", "pull", "sync", "auth", "store", "providers"]),
    ("app", &["console", "http", "events", "pull", "sync", "auth", "store", "providers"]),
    (
        "cli",
        &[
            "app",
            "http",
            "explain",
            "keys",
            "events",
            "pull",
            "sync",
            "auth",
            "store",
            "providers",
            "signature",
        ],
    ),
];
const COMMON: [&str; 7] = ["domain", "clock", "config", "content_coding", "jobs", "outgoing", "telemetry"];

/// Crates that only one module may use, apart from tests.
const PRIVATE_CRATES: [(&str, &[&str]); 8] = [
    ("sea_orm", &["store"]),
    ("entity", &["store"]),
    ("migration", &["store"]),
    ("actix_web", &["http", "console", "app"]),
    ("askama", &["console"]),
    ("svix", &["signature"]),
    ("opentelemetry", &["telemetry"]),
    ("anyhow", &["cli"]),
];

/// Lines without tests and blank ones, past which a file has more than one reason to change.
const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module of a file under `src/`; `main` and `lib` are the crate roots.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without comments and without what only tests see.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(file: &Path) -> bool {
    let path = file.to_string_lossy();
    ["/tests.rs", "/tests/", "/testing.rs", "/testing/", "/laws.rs"].iter().any(|part| path.contains(part))
}

/// Production files with their module and code.
fn modules() -> Vec<(PathBuf, String, String)> {
    let files = rust_files(&root().join("src")).into_iter().filter(|file| !is_test(file));
    files.map(|file| (file.clone(), module_of(&file), code_of(&file))).collect()
}

/// The names that follow a path in a piece of code, such as `crate::`, alone or in braces.
fn names_after(code: &str, path: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>();
    let mut named = BTreeSet::new();
    for rest in code.split(path).skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => named.extend(list.split('}').next().unwrap().split(',').map(|it| word(it.trim()))),
            None => {
                named.insert(word(rest));
            }
        }
    }
    named
}

fn names_crate(code: &str, name: &str) -> bool {
    let begins_a_word =
        |at: usize| !code[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':');
    code.match_indices(&format!("{name}::")).any(|(at, _)| begins_a_word(at))
}

#[test]
fn modules_depend_only_on_the_modules_below_them() {
    for (file, module, code) in modules() {
        if matches!(&*module, "main" | "lib") {
            continue;
        }
        let (_, below) = ALLOWED_DEPENDENCIES.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!(
                "{} is in a module without rules for its dependencies: add it to ALLOWED_DEPENDENCIES and to \
                    ARCHITECTURE.md",
                file.display()
            )
        });
        for named in names_after(&code, "crate::") {
            let allowed = named == module
                || below.contains(&&*named)
                || (COMMON.contains(&&*named) && module != "domain")
                || !ALLOWED_DEPENDENCIES.iter().any(|(name, _)| *name == named);
            assert!(allowed, "{} depends on `{named}`, which `{module}` may not", file.display());
        }
    }
}

#[test]
fn a_crate_that_belongs_to_a_module_is_named_nowhere_else() {
    for (file, module, code) in modules() {
        for (name, owners) in PRIVATE_CRATES {
            assert!(
                !names_crate(&code, name) || owners.contains(&&*module),
                "{} names the crate `{name}`",
                file.display()
            );
        }
    }
}

#[test]
fn entities_and_migrations_name_neither_each_other_nor_the_service() {
    for (folder, strangers) in
        [("entity/src", ["migration", "usersync"]), ("migration/src", ["entity", "usersync"])]
    {
        for file in rust_files(&root().join(folder)) {
            let code = code_of(&file);
            for stranger in strangers {
                assert!(!names_crate(&code, stranger), "{} names `{stranger}`", file.display());
            }
        }
    }
}

#[test]
fn only_the_clock_reads_the_time_of_day() {
    for (file, module, code) in modules() {
        for call in ["Utc::now", "SystemTime::now", "UNIX_EPOCH"] {
            assert!(module == "clock" || !code.contains(call), "{} calls {call}", file.display());
        }
    }
}

#[test]
fn files_stay_small() {
    let places = ["src", "entity/src", "migration/src", "examples", "tests/it"];
    for file in places.iter().flat_map(|place| rust_files(&root().join(place))) {
        let length = code_of(&file).lines().filter(|line| !line.trim().is_empty()).count();
        assert!(length <= LONGEST_FILE, "{} has {length} lines", file.display());
    }
}

/// Templates escape every value. Nothing may go around that, and no page may have a script or a style of its own, which
/// the content security policy forbids.
#[test]
fn templates_show_values_as_text_alone() {
    let templates = root().join("src/console/templates");
    let mut count = 0;
    for entry in fs::read_dir(templates).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for forbidden in
            ["|safe", "| safe", "autoescape", "style=", "<style", " onclick", "hx-on", "javascript:"]
        {
            assert!(!text.contains(forbidden), "{} has {forbidden:?}", path.display());
        }
        for script in text.split("<script").skip(1) {
            assert!(script.starts_with(" defer src="), "{} has a script of its own", path.display());
        }
        count += 1;
    }
    assert!(count > 10);
    for (file, module, code) in modules().into_iter().filter(|(_, module, _)| module == "console") {
        assert!(!code.contains("HtmlSafe"), "{} in {module} marks a value as safe", file.display());
    }
}

#[test]
fn every_path_that_the_documents_name_is_there() {
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root().join(page));
    let decisions = fs::read_dir(root().join("docs/decisions")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.into_iter().chain(decisions) {
        let text = fs::read_to_string(&page).unwrap();
        for path in text.split('`').skip(1).step_by(2).filter(|quoted| is_path(quoted)) {
            assert!(root().join(path).exists(), "{} names `{path}`, which does not exist", page.display());
        }
    }
}

/// Whether a quoted word is a path of this repository: it begins with one of its folders.
fn is_path(quoted: &str) -> bool {
    let folders =
        ["src/", "tests/", "entity/", "migration/", "docs/", "examples/", "bench/", "integrations/", ".ci/"];
    folders.iter().any(|folder| quoted.starts_with(folder)) && !quoted.contains(['<', '*', ' ', '{'])
}

/// What the crate shows to other programs, by the words of `src/lib.rs`. Everything else is private.
#[test]
fn the_public_names_are_these() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let names: Vec<&str> = text.lines().filter(|line| line.starts_with("pub ")).collect();
    let expected = [
        "pub use self::http::{CurrentUser, Problem};",
        "pub use app::{App, Service, StartError, configure};",
        "pub use cli::{Cli, run};",
        "pub use clock::Clock;",
        "pub use config::Config;",
        "pub use domain::{Profile, User, UserId};",
        "pub use store::Store;",
        // Only with the feature of the same name, for these tests.
        "pub mod internals {",
    ];
    assert_eq!(names, expected, "a name that others rely on is versioned: see CHANGELOG.md");
}

/// The files of a module as they name each other: `super::name`, `self::name` and `crate::module::name`.
#[test]
fn files_of_a_module_depend_on_each_other_in_one_direction() {
    let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (file, module, code) in modules() {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if name == "mod" || parent != module {
            continue;
        }
        let siblings: BTreeSet<String> = fs::read_dir(file.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let named = names_after(&code, "super::")
            .into_iter()
            .chain(names_after(&code, &format!("crate::{module}::")));
        for other in named {
            if siblings.contains(&other) && other != name {
                edges.entry((module.clone(), name.clone())).or_default().insert(other);
            }
        }
    }
    for (module, start) in edges.keys() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<String> = edges[&(module.clone(), start.clone())].iter().cloned().collect();
        while let Some(next) = open.pop() {
            assert_ne!(
                &next, start,
                "the files of `{module}` depend on each other in a circle through `{start}`"
            );
            if reached.insert(next.clone()) {
                open.extend(edges.get(&(module.clone(), next)).into_iter().flatten().cloned());
            }
        }
    }
}
