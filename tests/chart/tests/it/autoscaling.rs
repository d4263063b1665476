//! The number of pods when the autoscaler is turned on and off. The server has no controllers: the tests scale in the autoscaler's place.

use serde_json::{Value, json};

use crate::{
    release::Release,
    support::{Helm, name_of},
};

const ON: [&str; 2] =
    ["--set", "services.order.autoscaling.enabled=true,services.order.autoscaling.minReplicas=3"];

async fn replicas(release: &Release) -> Value {
    let kept = release.kept("deployments").await;
    let order = kept.iter().find(|deployment| name_of(deployment) == "shop-order").unwrap();
    order["spec"]["replicas"].clone()
}

async fn scale(release: &Release, replicas: u32) {
    let replicas = format!("--replicas={replicas}");
    release.cluster.kubectl(&["scale", "deployment", "shop-order", &replicas]).await;
}

/// Like the chart's, in a version that the server stores; it is too old for autoscaling/v2.
async fn make_autoscaler(release: &Release) {
    let autoscaler = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "shop-order" },
        "spec": {
            "minReplicas": 3,
            "maxReplicas": 6,
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-order" },
        },
    });
    release.cluster.apply(&autoscaler.to_string()).await;
}

#[tokio::test]
async fn an_installation_with_an_autoscaler_begins_with_its_least() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &ON);
    assert_eq!(replicas(&release).await, 3);
}

#[tokio::test]
async fn turned_on_and_off_there_are_never_less_than_its_least() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    assert_eq!(replicas(&release).await, 2);

    release.apply("upgrade", &ON);
    assert_eq!(replicas(&release).await, 3, "turned on, with fewer than its least before");
    make_autoscaler(&release).await;
    scale(&release, 5).await;
    for _ in 0..2 {
        release.apply("upgrade", &ON);
        assert_eq!(replicas(&release).await, 5, "what it has set stays");
    }
    // Applied without force: there is no conflict, because it is the current number.
    release.try_apply("upgrade", &ON).unwrap();
    assert_eq!(replicas(&release).await, 5);

    release.apply("upgrade", &[]);
    assert_eq!(replicas(&release).await, 3, "turned off: its least, though the values say 2");
    release.cluster.kubectl(&["delete", "horizontalpodautoscaler", "shop-order"]).await;
    release.apply("upgrade", &[]);
    assert_eq!(replicas(&release).await, 2, "and then what the values say");
}

#[tokio::test]
async fn turned_on_over_more_than_its_least_none_goes() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &["--set", "services.order.replicas=4"]);
    release.apply("upgrade", &[&["--set", "services.order.replicas=4"], &ON[..]].concat());
    assert_eq!(replicas(&release).await, 4);
}

/// docs/operations.md scales everything to zero for a restore, and starts it again with an upgrade.
#[tokio::test]
async fn after_a_restore_an_upgrade_starts_all_again() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &ON);
    release.cluster.kubectl(&["scale", "deployment", "--all", "--replicas=0"]).await;
    release.apply("upgrade", &ON);
    assert_eq!(replicas(&release).await, 3);
    // Zero replicas in the values stay zero.
    release.apply("upgrade", &["--set", "services.order.replicas=0"]);
    assert_eq!(replicas(&release).await, 0);
}

/// A percentage of a request that is close to idle use would scale on noise.
#[test]
fn it_scales_by_what_a_pod_uses_and_not_by_a_share_of_little() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--values", "values-production.yaml"]);
    for (name, cpu) in [("shop-order", "500m"), ("shop-web", "500m"), ("shop-auth", "1")] {
        let spec = &objects.named("HorizontalPodAutoscaler", name)["spec"];
        let target = json!({ "type": "AverageValue", "averageValue": cpu });
        let cpu = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        assert_eq!(spec["metrics"], json!([cpu]), "{name}");
        let deployment = &objects.named("Deployment", name)["spec"];
        assert_eq!(deployment["replicas"], spec["minReplicas"], "{name}");
    }
}

/// KEDA's autoscaler takes the place of the chart's: two of them would fight over the number of pods.
#[test]
fn keda_scales_on_the_queue_in_place_of_the_other_autoscaler() {
    let Some(helm) = Helm::find() else { return };
    let on = "services.payment.autoscaling.enabled=true,services.payment.autoscaling.keda.enabled=true";
    let objects = helm.render(&["--set", on]);
    assert_eq!(objects.of_kind("HorizontalPodAutoscaler").count(), 0);
    let spec = &objects.named("ScaledObject", "shop-payment")["spec"];
    assert_eq!(spec["scaleTargetRef"], json!({ "name": "shop-payment" }));
    // The name by which an upgrade finds it, see `shop.service.replicas`.
    assert_eq!(spec["advanced"]["horizontalPodAutoscalerConfig"]["name"], "shop-payment");
    assert_eq!((&spec["minReplicaCount"], &spec["maxReplicaCount"]), (&json!(2), &json!(6)));
    let queue = json!({
        "protocol": "amqp",
        "hostFromEnv": "PAYMENT_RABBITMQ_URL",
        "queueName": "payment",
        "mode": "QueueLength",
        "value": "100",
    });
    let cpu = json!({ "type": "cpu", "metricType": "AverageValue", "metadata": { "value": "500m" } });
    assert_eq!(spec["triggers"], json!([{ "type": "rabbitmq", "metadata": queue }, cpu]));
    let container = &objects.named("Deployment", "shop-payment")["spec"]["template"]["spec"]["containers"][0];
    let variable = crate::support::list(&container["env"]).find(|env| env["name"] == "PAYMENT_RABBITMQ_URL");
    assert!(variable.is_some(), "KEDA reads it from the container");
    // Off by default, also where autoscaling is on.
    let production = helm.render(&["--values", "values-production.yaml"]);
    assert_eq!(production.of_kind("ScaledObject").count(), 0);
}
