//! Golden files and documentation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder of payloads that have been published once.
pub(crate) fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The folder of the generated documentation.
pub(crate) fn docs_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events")
}

/// A golden file, without the line end.
pub(crate) fn golden(name: &str) -> String {
    read(&golden_folder().join(name)).trim_end().to_owned()
}

/// A file of docs/events.
pub(crate) fn documentation(name: &str) -> Value {
    serde_json::from_str(&read(&docs_folder().join(name))).unwrap()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The names of the files in `folder`.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}
