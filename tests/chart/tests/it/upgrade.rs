//! What an upgrade finds, on a real API server.

use std::{fs, path::Path};

use serde_json::{Value, json};
use shop_testing::TestCluster;

use crate::support::{Helm, Objects, chart, name_of};

/// What the oldest API server that this runs on has no kind for; helm asks it, even when that is not shown.
const TOO_NEW: &str = "serviceDefaults.podDisruptionBudget.enabled=false,outboxPublishers.orders=null";

/// Renders as an install or upgrade would: templates look their objects up. The API server of the tests may be older than what the
/// chart asks for, which is nothing that its Secrets depend on.
fn secrets(helm: &Helm, chart: &Path, cluster: &TestCluster, arguments: &[&str]) -> String {
    let output = helm
        .command()
        .env("KUBECONFIG", &cluster.kubeconfig)
        .args(["template", "shop"])
        .arg(chart)
        .args(["--namespace", &cluster.namespace, "--dry-run=server", "--is-upgrade"])
        .args(["--disable-openapi-validation", "--set", TOO_NEW])
        .args(["--show-only", "templates/secrets.yaml"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The chart for any version of Kubernetes.
fn for_any_version(folder: &Path) {
    copy(&chart(), folder);
    let file = folder.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.replace("kubeVersion: \">=1.30.0-0\"", "kubeVersion: \">=1.0.0-0\"")).unwrap();
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

fn data(manifests: &str) -> Vec<(String, Value)> {
    let objects = Objects::parse(manifests);
    objects.of_kind("Secret").map(|secret| (name_of(secret).to_owned(), secret["data"].clone())).collect()
}

#[tokio::test]
async fn an_upgrade_keeps_what_was_generated() {
    let Some(helm) = Helm::find() else { return };
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for_any_version(folder.path());
    let set = ["--set", "admin.email=admin@example.com"];
    let installed = secrets(&helm, folder.path(), &cluster, &set);
    assert_eq!(data(&installed).len(), 3);
    assert_ne!(
        data(&installed),
        data(&secrets(&helm, folder.path(), &cluster, &set)),
        "nothing was generated"
    );

    cluster.apply(&installed).await;
    assert_eq!(data(&installed), data(&secrets(&helm, folder.path(), &cluster, &set)));
    // A value that is given goes before what was generated.
    let given = ["--set", "admin.email=admin@example.com,secrets.session.keys.secret.value=given"];
    let given = data(&secrets(&helm, folder.path(), &cluster, &given));
    let changed: Vec<_> = given
        .iter()
        .filter(|secret| !data(&installed).contains(secret))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, ["shop-session"]);
}

#[tokio::test]
async fn a_development_password_is_kept_too() {
    let Some(helm) = Helm::find() else { return };
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for_any_version(folder.path());
    let set = ["--set", "devInfra.enabled=true", "--show-only", "templates/dev/secrets.yaml"];
    let installed = secrets(&helm, folder.path(), &cluster, &set);
    cluster.apply(&installed).await;
    let of = |manifests: &str| -> Vec<_> {
        data(manifests)
            .into_iter()
            .filter(|(name, _)| name == "shop-postgres" || name == "shop-rabbitmq")
            .collect()
    };
    assert_eq!(of(&installed).len(), 2);
    assert_eq!(of(&installed), of(&secrets(&helm, folder.path(), &cluster, &set)));
}

#[tokio::test]
async fn a_secret_that_its_keeper_changed_rolls_the_pods_at_the_next_upgrade() {
    let Some(helm) = Helm::find() else { return };
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for_any_version(folder.path());
    let checksums = || {
        let shown = ["--show-only", "templates/services/deployment.yaml"];
        let objects = Objects::parse(&secrets(&helm, folder.path(), &cluster, &shown));
        let of = |object: &Value| {
            let checksum = &object["spec"]["template"]["metadata"]["annotations"]["checksum/secrets"];
            (name_of(object).to_owned(), checksum.clone())
        };
        objects.of_kind("Deployment").map(of).collect::<Vec<_>>()
    };
    let secret = |uri: &str| {
        let metadata = json!({ "name": "shop-db-app" });
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": { "uri": uri } })
            .to_string()
    };
    cluster.apply(&secret("postgres://old")).await;
    let before = checksums();
    assert_eq!(before, checksums());
    cluster.apply(&secret("postgres://new")).await;
    let after = checksums();
    let rolled: Vec<_> =
        before.iter().filter(|old| !after.contains(old)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(rolled, ["shop-auth", "shop-catalog", "shop-order"]);
}
