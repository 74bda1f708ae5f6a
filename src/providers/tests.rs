//! Every fixture of every provider decodes to a snapshot.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::read::Decoded;
use super::{REGISTRY, kinds};
use crate::config::{Config, SourceMap};

/// The files with this ending, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == ending));
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

/// The map of the configuration beside a mapped source's fixture, whose name begins as the configuration's
/// does.
fn map_of(fixture: &Path) -> SourceMap {
    let folder = fixture.parent().unwrap();
    let configurations = files(folder, "toml");
    let file = configurations.iter().find(|file| stem(fixture).starts_with(stem(file)));
    let file = file.unwrap_or_else(|| panic!("{} has no map", fixture.display()));
    let config = Config::load(Some(file), &BTreeMap::new(), &kinds()).unwrap();
    config.sources[0].map.clone().unwrap()
}

#[test]
fn every_fixture_decodes_to_its_snapshot() {
    for registered in REGISTRY {
        let name = registered.kind.name;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let fixtures = files(&folder, "json");
        assert!(!fixtures.is_empty(), "{name} has no fixtures");
        for file in fixtures {
            let map = registered.kind.is_mapped.then(|| map_of(&file));
            let provider = (registered.make)(map.as_ref());
            let event = Decoded::read(&*provider, &fs::read_to_string(&file).unwrap()).unwrap();
            insta::assert_debug_snapshot!(format!("{name}__{}", stem(&file)), event);
        }
    }
}
