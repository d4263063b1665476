//! A release on a real API server. There are no nodes, so no pod runs; but the server validates, defaults and stores every object, and templates
//! can look them up.

use std::{fs, path::Path};

use serde_json::Value;
use shop_testing::TestCluster;
use tempfile::TempDir;

use crate::support::{Helm, chart, list, name_of, root};

/// Features that the oldest API server used in tests does not support.
const TOO_NEW: &str = "serviceDefaults.podDisruptionBudget.enabled=false,serviceDefaults.topologySpreadConstraints=null,\
                       serviceDefaults.preStopSeconds=0,devInfra.storage=";

/// A release in a namespace for one test.
pub(crate) struct Release {
    pub(crate) helm: Helm,
    pub(crate) cluster: TestCluster,
    /// The chart for any version of Kubernetes.
    chart: TempDir,
}

impl Release {
    pub(crate) async fn none() -> Option<Self> {
        let helm = Helm::find()?;
        let cluster = shop_testing::kubernetes().await?;
        let file = "k8s/crds/outboxpublishers.outbox.shop.dev.yaml";
        cluster.install_crds(&root().join(file)).await;
        let chart = tempfile::tempdir().unwrap();
        copy(&self::chart(), chart.path());
        let file = chart.path().join("Chart.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace("kubeVersion: \">=1.30.0-0\"", "kubeVersion: \">=1.0.0-0\"")).unwrap();
        // An old server's autoscaling/v2 is a beta; the tests act in its place.
        fs::remove_file(chart.path().join("templates/services/autoscaling.yaml")).unwrap();
        Some(Self { helm, cluster, chart })
    }

    /// Runs `helm <verb> shop`, and returns its error, if any.
    pub(crate) fn try_run(&self, verb: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.helm.command();
        command
            .env("KUBECONFIG", &self.cluster.kubeconfig)
            .args([verb, "shop", "--namespace", &self.cluster.namespace])
            .args(arguments);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(error) }
    }

    pub(crate) fn run(&self, verb: &str, arguments: &[&str]) {
        self.try_run(verb, arguments).unwrap_or_else(|error| panic!("helm {verb}: {error}"));
    }

    /// `install`, or `upgrade` as documented.
    pub(crate) fn apply(&self, verb: &str, arguments: &[&str]) {
        let flags = if verb == "upgrade" { documented_flags(verb) } else { Vec::new() };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.try_apply(verb, &[&flags[..], arguments].concat())
            .unwrap_or_else(|error| panic!("helm {verb}: {error}"));
    }

    pub(crate) fn try_apply(&self, verb: &str, arguments: &[&str]) -> Result<(), String> {
        let chart = self.chart.path().display().to_string();
        let always = [chart.as_str(), "--skip-crds", "--disable-openapi-validation", "--set", TOO_NEW];
        self.try_run(verb, &[&always[..], arguments].concat())
    }

    /// The output of `helm template`, without access to the cluster, for `kubectl apply`.
    pub(crate) fn template(&self, arguments: &[&str]) -> String {
        let chart = self.chart.path().display().to_string();
        let always = ["template", "shop", &chart, "--namespace", &self.cluster.namespace, "--set", TOO_NEW];
        let output = self.helm.command().args(always).args(arguments).output().unwrap();
        assert!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The release's objects on the server.
    pub(crate) async fn kept(&self, kinds: &str) -> Vec<Value> {
        let selector = "--selector=app.kubernetes.io/instance=shop";
        let text = self.cluster.kubectl(&["get", kinds, selector, "--output=json"]).await;
        let all: Value = serde_json::from_str(&text).unwrap();
        list(&all["items"]).cloned().collect()
    }

    pub(crate) async fn secrets(&self) -> Vec<(String, Value)> {
        let secrets = self.kept("secrets").await;
        secrets.iter().map(|secret| (name_of(secret).to_owned(), secret["data"].clone())).collect()
    }

    /// The pods' templates, by the name of the Deployment or StatefulSet.
    pub(crate) async fn templates(&self) -> Vec<(String, Value)> {
        let owners = self.kept("deployments,statefulsets").await;
        let template = |object: &Value| (name_of(object).to_owned(), object["spec"]["template"].clone());
        owners.iter().map(template).collect()
    }
}

/// The flags of the first `helm <verb> shop` in docs/operations.md, without the values file.
pub(crate) fn documented_flags(verb: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let begin = format!("helm {verb} shop ");
    let command = text.lines().find_map(|line| line.split_once(begin.as_str())).unwrap().1;
    let command = command.split('`').next().unwrap();
    command.split_whitespace().filter(|word| word.starts_with("--")).map(ToOwned::to_owned).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub(crate) fn changed<'a>(before: &'a [(String, Value)], after: &[(String, Value)]) -> Vec<&'a str> {
    let changed = before.iter().filter(|object| !after.contains(object));
    changed.map(|(name, _)| name.as_str()).collect()
}
