//! Every fixture decodes to a snapshot.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Provider;
use super::clerk::Clerk;

fn snapshots_of(name: &str, provider: &dyn Provider) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let event: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let event = provider.decode(event.as_object().unwrap());
        let name = format!("{name}__{}", file.file_stem().unwrap().to_string_lossy());
        insta::assert_debug_snapshot!(name, event);
    }
}

#[test]
fn every_clerk_fixture_decodes_to_its_snapshot() {
    snapshots_of("clerk", &Clerk);
}
