//! The files of the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn assert_exists(path: &str, who: &str) {
    assert!(root().join(path).exists(), "{who} names {path}, which is not there");
}

/// The keys of a mapping; none if it is missing.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// All `.rs` files that are compiled into services.
pub(crate) fn sources() -> Vec<String> {
    sources_in(&["crates", "services"])
}

/// All `.rs` files.
pub(crate) fn sources_and_tests() -> Vec<String> {
    sources_in(&["crates", "services", "tests", "xtask"])
}

fn sources_in(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The names of the chart's workloads: release `shop`, its components, and the backends of `devInfra`.
pub(crate) fn workloads() -> BTreeSet<String> {
    let values = yaml("charts/shop/values.yaml");
    let services = keys(&values["services"]).into_iter().chain(["outbox-controller"]).map(str::to_owned);
    services.chain(backends().into_keys()).map(|component| format!("shop-{component}")).collect()
}

/// The image of each `devInfra` backend.
pub(crate) fn backends() -> BTreeMap<String, String> {
    let values = yaml("charts/shop/values.yaml");
    let backends = values["devInfra"].as_object().unwrap().iter();
    backends
        .filter_map(|(name, backend)| {
            let image = backend.get("image")?;
            let [repository, tag] = ["repository", "tag"].map(|part| image[part].as_str().unwrap());
            Some((name.clone(), format!("{repository}:{tag}")))
        })
        .collect()
}
