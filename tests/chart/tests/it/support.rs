//! Rendering, and reading the result.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use shop_testing::servers;

/// The sets of values that come with the chart; every check runs on all of them.
pub(crate) const SETS: [(&str, &[&str]); 4] = [
    ("default", &[]),
    ("dev", &["--values", "values-dev.yaml"]),
    ("production", &["--values", "values-production.yaml"]),
    ("everything", &["--values", "ci/everything-values.yaml"]),
];

/// A Helm that renders the chart as release `shop` in namespace `shop`.
pub(crate) struct Helm(PathBuf);

impl Helm {
    /// The Helm named by `HELM`, or the one on the path; without one, the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("HELM").filter(|helm| !helm.is_empty()).map(PathBuf::from);
        let helm = named.or_else(|| servers::on_path("helm"));
        if helm.is_none() {
            shop_testing::skip("helm is not on the PATH, and HELM names none");
        }
        helm.map(Self)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.current_dir(chart());
        command
    }

    /// The manifests as text, including the test pod, or Helm's error.
    pub(crate) fn text(&self, arguments: &[&str]) -> Result<String, String> {
        let template = ["template", "shop", ".", "--namespace", "shop", "--set", "tests.inTemplate=true"];
        let all = [&template, arguments].concat();
        let output = self.command().args(all).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    pub(crate) fn render(&self, arguments: &[&str]) -> Objects {
        Objects::parse(&self.text(arguments).unwrap())
    }

    /// The rendering of each set of values.
    pub(crate) fn sets(&self) -> Vec<(&'static str, Objects)> {
        SETS.iter().map(|(name, arguments)| (*name, self.render(arguments))).collect()
    }
}

pub(crate) fn chart() -> PathBuf {
    root().join("charts/shop")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rendered objects, including hooks.
pub(crate) struct Objects(pub(crate) Vec<Value>);

impl Objects {
    pub(crate) fn parse(text: &str) -> Self {
        let documents = text.split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap());
        Self(documents.filter(|document: &Value| !document.is_null()).collect())
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    pub(crate) fn named(&self, kind: &str, name: &str) -> &Value {
        self.of_kind(kind)
            .find(|object| name_of(object) == name)
            .unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// Every pod that they define.
    pub(crate) fn pods(&self) -> Vec<Pod<'_>> {
        let pod = |object| match kind_of(object) {
            "Deployment" | "StatefulSet" => {
                let template = &object["spec"]["template"];
                Some(Pod { owner: object, meta: &template["metadata"], spec: &template["spec"] })
            }
            "Pod" => Some(Pod { owner: object, meta: &object["metadata"], spec: &object["spec"] }),
            _ => None,
        };
        self.0.iter().filter_map(pod).collect()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Pod<'a> {
    /// The Deployment or StatefulSet, or the pod itself.
    pub(crate) owner: &'a Value,
    pub(crate) meta: &'a Value,
    pub(crate) spec: &'a Value,
}

impl<'a> Pod<'a> {
    pub(crate) fn name(&self) -> &'a str {
        name_of(self.owner)
    }

    pub(crate) fn component(&self) -> &'a str {
        self.meta["labels"]["app.kubernetes.io/component"].as_str().unwrap()
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let of = |field| list(&self.spec[field]);
        of("initContainers").chain(of("containers"))
    }

    /// Whether it has all labels of a selector's `matchLabels` and matches each expression.
    pub(crate) fn is_selected_by(&self, selector: &Value) -> bool {
        let labels = &self.meta["labels"];
        let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
        wanted.all(|(name, value)| labels[name] == *value)
            && list(&selector["matchExpressions"]).all(|expression| {
                assert_eq!(expression["operator"], "In", "the only operator that this test knows");
                list(&expression["values"]).any(|value| labels[expression["key"].as_str().unwrap()] == *value)
            })
    }
}

pub(crate) fn kind_of(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The items of a list; empty if it is absent.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
