//! After any manual change in docs/operations.md, and after Tilt, the documented `helm upgrade` works and restores the chart's
//! state. Each change moves a field *away* from the chart's value, because only then does server-side apply refuse it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    release::{Release, documented_flags},
    support::{name_of, root},
};

/// Manual changes: after an upgrade, the field must have the chart's value again.
const CHANGES: [&[&str]; 7] = [
    &["patch", "outboxpublisher", "shop-orders", "--type=merge", "--patch={\"spec\":{\"paused\":true}}"],
    &["scale", "deployment", "--all", "--replicas=0"],
    &["set", "image", "deployment/shop-order", "order=registry.example.com/order:other"],
    &["patch", "configmap", "shop-order", "--patch={\"data\":{\"ORDER_GUEST_CHECKOUT\":\"true\"}}"],
    &["label", "deployment", "shop-order", "--overwrite", "app.kubernetes.io/version=other"],
    &["patch", "service", "shop-order", "--patch={\"spec\":{\"type\":\"NodePort\"}}"],
    &["rollout", "restart", "deployment/shop-order"],
];

/// All objects that the changes touch.
async fn state(release: &Release) -> Value {
    let one = async |kind, name| {
        let text = release.cluster.kubectl(&["get", kind, name, "--output=json"]).await;
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let deployment = one("deployment", "shop-order").await;
    json!({
        "labels": deployment["metadata"]["labels"],
        "replicas": deployment["spec"]["replicas"],
        "containers": deployment["spec"]["template"]["spec"]["containers"],
        "data": one("configmap", "shop-order").await["data"],
        "service": one("service", "shop-order").await["spec"]["type"],
        "publisher": one("outboxpublisher", "shop-orders").await["spec"],
    })
}

/// Like Tilt and everybody with kubectl: client-side apply, with another image, under another manager's name.
async fn apply_as_tilt_does(release: &Release) {
    let rendered = release.template(&["--set", "devInfra.enabled=true,devInfra.password=x"]);
    let theirs = rendered
        .replace("managed-by: Helm", "managed-by: tilt")
        .replace("image: \"shop/", "image: \"tilt.local/shop/");
    release.cluster.apply(&theirs).await;
}

#[tokio::test]
async fn an_upgrade_works_after_every_change_and_pair_and_all_in_any_order() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    let chart = state(&release).await;
    let mut orders: Vec<Vec<&[&str]>> = CHANGES.iter().map(|change| vec![*change]).collect();
    for first in &CHANGES[..4] {
        orders.extend(
            CHANGES[..4].iter().filter(|second| *second != first).map(|second| vec![*first, *second]),
        );
    }
    orders.push(CHANGES.to_vec());
    orders.push(CHANGES.iter().rev().copied().collect());
    for changes in orders {
        for change in &changes {
            release.cluster.kubectl(change).await;
        }
        release.apply("upgrade", &[]);
        assert_eq!(state(&release).await, chart, "after {changes:?}");
    }
    let restarted = &release.templates().await;
    let order = restarted.iter().find(|(name, _)| name == "shop-order").unwrap();
    // What the chart does not set is not reverted.
    assert!(order.1["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string());
}

/// Otherwise the tests above would prove nothing.
#[tokio::test]
async fn without_the_documented_flags_an_upgrade_is_refused() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    release.cluster.kubectl(CHANGES[0]).await;
    let error = release.try_apply("upgrade", &[]).unwrap_err();
    assert!(error.contains("conflict occurred while applying object"), "{error}");
    release.apply("upgrade", &[]);
    // A rollback with the flags works, too.
    release.cluster.kubectl(CHANGES[2]).await;
    let flags = documented_flags("rollback");
    release.run("rollback", &flags.iter().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn tilt_and_helm_take_turns() {
    let set = ["--set", "devInfra.enabled=true,devInfra.password=x"];
    let Some(release) = Release::none().await else { return };
    // Tilt first; xtask and skaffold install over it.
    apply_as_tilt_does(&release).await;
    let over = ["--install", "--take-ownership"];
    release.apply("upgrade", &[&set[..], &over].concat());
    let chart = state(&release).await;
    assert_eq!(chart["labels"]["app.kubernetes.io/managed-by"], "Helm");
    // And Tilt over a release.
    apply_as_tilt_does(&release).await;
    assert_ne!(state(&release).await, chart);
    release.apply("upgrade", &set);
    assert_eq!(state(&release).await, chart);
}

/// A release made by Helm 3, or with client-side apply.
#[tokio::test]
async fn what_was_applied_on_the_client_is_upgraded_and_loses_what_the_chart_has_not() {
    let Some(release) = Release::none().await else { return };
    let set = ["--set", "services.order.env.ORDER_EXTRA=old"];
    release.try_apply("install", &[&["--server-side=false"], &set[..]].concat()).unwrap();
    release.cluster.kubectl(CHANGES[2]).await;
    release.apply("upgrade", &[]);
    let after = state(&release).await;
    assert_eq!(after["containers"][0]["image"], format!("shop/order:{}", env!("CARGO_PKG_VERSION")));
    assert!(after["data"]["ORDER_EXTRA"].is_null(), "{after}");
}

#[tokio::test]
async fn a_redrive_asked_for_by_hand_stays_and_stops_no_upgrade() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    let annotate =
        ["annotate", "outboxpublisher", "shop-orders", "--overwrite", "outbox.shop.dev/redrive=now"];
    release.cluster.kubectl(&annotate).await;
    release.apply("upgrade", &[]);
    let redrive = async || {
        let kept = release.kept("outboxpublishers").await;
        let orders = kept.iter().find(|publisher| name_of(publisher) == "shop-orders").unwrap();
        orders["metadata"]["annotations"]["outbox.shop.dev/redrive"].clone()
    };
    assert_eq!(redrive().await, "now");
    // A value takes precedence.
    let theirs = "outboxPublishers.orders.annotations.outbox\\.shop\\.dev/redrive=then";
    release.apply("upgrade", &["--set", theirs]);
    assert_eq!(redrive().await, "then");
}

/// The command from NOTES.txt and docs/operations.md, for a definition that Helm installed and somebody else may have applied since.
#[tokio::test]
async fn a_changed_definition_is_applied_over_the_one_that_helm_installed() {
    let Some(release) = Release::none().await else { return };
    // The test's own definition, because the real one is shared.
    let group = format!("{}.example.com", release.cluster.namespace);
    let text = fs::read_to_string(root().join("k8s/crds/outboxpublishers.outbox.shop.dev.yaml")).unwrap();
    let text = text.replace("outbox.shop.dev", &group).replace("- obp", "- obpx");
    let definition = without_rules(serde_saphyr::from_str(&text).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let charts = folder.path().join("defined");
    fs::create_dir_all(charts.join("crds")).unwrap();
    fs::write(charts.join("Chart.yaml"), "{apiVersion: v2, name: defined, version: 0.1.0}").unwrap();
    fs::write(charts.join("crds/definition.yaml"), definition.to_string()).unwrap();
    release.run("install", &[&charts.display().to_string()]);

    let changed = folder.path().join("changed.yaml");
    for maximum in [3000, 4000] {
        let mut definition = definition.clone();
        let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let properties = definition.pointer_mut(properties).unwrap();
        properties["batchSize"]["maximum"] = json!(maximum);
        properties.as_object_mut().unwrap().remove("appId");
        fs::write(&changed, definition.to_string()).unwrap();
        let file = changed.display().to_string();
        release.cluster.kubectl(&[&definition_command()[..], &["-f", &file]].concat()).await;
        let kept = format!("outboxpublishers.{group}");
        let kept = release.cluster.kubectl(&["get", "crd", &kept, "--output=json"]).await;
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let properties =
            &kept["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        assert_eq!(properties["batchSize"]["maximum"], maximum);
        assert!(properties["appId"].is_null());
        // And somebody else applies it in between.
        let patch = r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": "theirs"}]"#;
        let name = format!("outboxpublishers.{group}");
        release.cluster.kubectl(&["patch", "crd", &name, "--type=json", "--patch", patch]).await;
    }
    release.cluster.kubectl(&["delete", "crd", &format!("outboxpublishers.{group}"), "--wait=false"]).await;
}

/// From the line in NOTES.txt, without the file.
fn definition_command() -> Vec<&'static str> {
    let notes = include_str!("../../../../charts/shop/templates/NOTES.txt");
    let line = notes.lines().find(|line| line.contains("kubectl apply")).unwrap();
    line.split_whitespace().skip(1).take_while(|word| *word != "-f").collect()
}

/// Old servers do not support rules in CEL, and refuse them in server-side apply.
fn without_rules(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(name, _)| name != "x-kubernetes-validations");
            fields.map(|(name, value)| (name, without_rules(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_rules).collect(),
        other => other,
    }
}

/// Every documented command that upgrades or applies the definition is the same as the tested one.
#[test]
fn every_documented_upgrade_is_the_one_that_works() {
    let flags = documented_flags("upgrade");
    assert_eq!(flags, ["--server-side=true", "--force-conflicts"]);
    let files = [
        "docs/operations.md",
        "charts/shop/README.md",
        "charts/shop/templates/NOTES.txt",
        "README.md",
        "README.ru.md",
        "Tiltfile",
    ];
    for file in files {
        let text = fs::read_to_string(root().join(file)).unwrap();
        for line in text.lines() {
            let is_upgrade =
                line.contains("helm upgrade shop") || line.contains(" upgrade {{ .Release.Name }}");
            let is_whole = flags.iter().all(|flag| line.contains(flag.as_str()));
            assert!(!is_upgrade || is_whole, "{file}: {line}");
            assert!(!line.contains("helm rollback") || is_whole, "{file}: {line}");
            let is_definition = line.contains("kubectl apply") && line.contains("crds/");
            assert!(!is_definition || line.contains("--server-side --force-conflicts"), "{file}: {line}");
        }
    }
    let kind = fs::read_to_string(root().join("xtask/src/kind.rs")).unwrap();
    for flag in flags.iter().map(String::as_str).chain(["--take-ownership"]) {
        assert!(kind.contains(&format!("\"{flag}\"")), "xtask/src/kind.rs: {flag}");
    }
}
