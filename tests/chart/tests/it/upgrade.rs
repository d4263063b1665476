//! Installs, upgrades and removes the chart on a real API server. No node is there, so no pod runs; but the server judges, defaults and keeps
//! every object, and templates look them up.

use std::{fs, path::Path};

use serde_json::{Value, json};
use shop_testing::TestCluster;
use tempfile::TempDir;

use crate::support::{Helm, chart, list, name_of, root};

/// What the oldest API server that the tests run on does not know.
const TOO_NEW: &str = "serviceDefaults.podDisruptionBudget.enabled=false,serviceDefaults.topologySpreadConstraints=null,\
                       serviceDefaults.preStopSeconds=0,devInfra.storage=";

/// A release in a namespace of the test's own.
struct Release {
    helm: Helm,
    cluster: TestCluster,
    /// The chart for any version of Kubernetes.
    chart: TempDir,
}

impl Release {
    async fn none() -> Option<Self> {
        let helm = Helm::find()?;
        let cluster = shop_testing::kubernetes().await?;
        let file = "k8s/crds/outboxpublishers.outbox.shop.dev.yaml";
        cluster.install_crds(&root().join(file)).await;
        let chart = tempfile::tempdir().unwrap();
        copy(&self::chart(), chart.path());
        let file = chart.path().join("Chart.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace("kubeVersion: \">=1.30.0-0\"", "kubeVersion: \">=1.0.0-0\"")).unwrap();
        Some(Self { helm, cluster, chart })
    }

    fn run(&self, verb: &str, arguments: &[&str]) {
        let mut command = self.helm.command();
        command
            .env("KUBECONFIG", &self.cluster.kubeconfig)
            .args([verb, "shop", "--namespace", &self.cluster.namespace])
            .args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "helm {verb}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `install` or `upgrade`.
    fn apply(&self, verb: &str, arguments: &[&str]) {
        let chart = self.chart.path().display().to_string();
        let always = [chart.as_str(), "--skip-crds", "--disable-openapi-validation", "--set", TOO_NEW];
        self.run(verb, &[&always[..], arguments].concat());
    }

    /// What the server keeps of the release.
    async fn kept(&self, kinds: &str) -> Vec<Value> {
        let selector = "--selector=app.kubernetes.io/instance=shop";
        let text = self.cluster.kubectl(&["get", kinds, selector, "--output=json"]).await;
        let all: Value = serde_json::from_str(&text).unwrap();
        list(&all["items"]).cloned().collect()
    }

    async fn secrets(&self) -> Vec<(String, Value)> {
        let secrets = self.kept("secrets").await;
        secrets.iter().map(|secret| (name_of(secret).to_owned(), secret["data"].clone())).collect()
    }

    /// The pods' templates, by the Deployment's name.
    async fn templates(&self) -> Vec<(String, Value)> {
        let deployments = self.kept("deployments").await;
        deployments
            .iter()
            .map(|object| (name_of(object).to_owned(), object["spec"]["template"].clone()))
            .collect()
    }
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

fn changed<'a>(before: &'a [(String, Value)], after: &[(String, Value)]) -> Vec<&'a str> {
    let changed = before.iter().filter(|object| !after.contains(object));
    changed.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn an_upgrade_keeps_what_was_generated_and_rolls_nothing() {
    let Some(release) = Release::none().await else { return };
    let set = ["--set", "admin.email=admin@example.com,devInfra.enabled=true"];
    release.apply("install", &set);
    let (secrets, templates) = (release.secrets().await, release.templates().await);
    let names: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["shop-admin", "shop-postgres", "shop-rabbitmq", "shop-redis", "shop-session", "shop-tokens"]
    );
    release.apply("upgrade", &set);
    assert_eq!(secrets, release.secrets().await);
    assert_eq!(templates, release.templates().await);

    // A value that is given goes before what was generated, and rolls who reads it.
    let given = "admin.email=admin@example.com,devInfra.enabled=true,secrets.session.keys.secret.value=given";
    release.apply("upgrade", &["--set", given]);
    assert_eq!(changed(&secrets, &release.secrets().await), ["shop-session"]);
    assert_eq!(changed(&templates, &release.templates().await), ["shop-web"]);
}

/// As docs/operations.md has secrets rotated.
#[tokio::test]
async fn an_upgrade_in_the_middle_of_a_rotation_undoes_none_of_it() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    let data = r#"{"data": {"secret": "bmV3", "other-secret": "b2xk"}}"#;
    release.cluster.kubectl(&["patch", "secret", "shop-tokens", "--patch", data]).await;
    release.apply("upgrade", &[]);
    let secrets = release.secrets().await;
    let tokens = secrets.iter().find(|(name, _)| name == "shop-tokens").unwrap();
    assert_eq!(tokens.1, json!({ "secret": "bmV3", "other-secret": "b2xk" }));
}

#[tokio::test]
async fn nothing_is_left_of_what_was_removed() {
    let Some(release) = Release::none().await else { return };
    let all = "configmaps,deployments,ingresses,networkpolicies,outboxpublishers,rolebindings,roles,secrets,\
               serviceaccounts,services,statefulsets";
    let set = ["--set", "devInfra.enabled=true,ingress.enabled=true,secrets.telegram.keys.token.value=1:x"];
    release.apply("install", &set);
    assert!(release.kept(all).await.len() > 40);
    release.run("uninstall", &[]);
    assert_eq!(release.kept(all).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_secret_that_its_keeper_changed_rolls_the_pods_at_the_next_upgrade() {
    let Some(release) = Release::none().await else { return };
    let keep = async |uri: &str| {
        let metadata = json!({ "name": "shop-db-app" });
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": { "uri": uri } });
        release.cluster.apply(&secret.to_string()).await;
    };
    keep("postgres://old").await;
    release.apply("install", &[]);
    let before = release.templates().await;
    release.apply("upgrade", &[]);
    assert_eq!(before, release.templates().await);
    keep("postgres://new").await;
    release.apply("upgrade", &[]);
    // The controller takes it up by itself.
    let rolled = ["shop-auth", "shop-catalog", "shop-order"];
    assert_eq!(changed(&before, &release.templates().await), rolled);
}

#[tokio::test]
async fn the_api_server_accepts_every_set_of_values() {
    for values in ["values-dev.yaml", "values-production.yaml", "ci/everything-values.yaml"] {
        let Some(release) = Release::none().await else { return };
        let without = "monitoring.podMonitor.enabled=false,monitoring.prometheusRule.enabled=false,httpRoute.enabled=false,\
                       serviceDefaults.autoscaling.enabled=false";
        release.apply("install", &["--values", values, "--set", without]);
        // `helm test` makes it, and would wait for its end. The server knows no priority that nobody has defined.
        let mut template = release.helm.command();
        template
            .args([
                "template",
                "shop",
                ".",
                "--values",
                values,
                "--set",
                "serviceDefaults.priorityClassName=",
            ])
            .args(["--show-only", "templates/tests/order.yaml"]);
        let pod = String::from_utf8(template.output().unwrap().stdout).unwrap();
        release.cluster.apply(&pod).await;
    }
}
