//! Relations between the objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Helm, Objects, Pod, kind_of, list, name_of, root};

#[test]
fn every_service_leads_to_a_named_port_of_a_pod() {
    let Some(helm) = Helm::find() else { return };
    for (set, objects) in helm.sets() {
        let pods = objects.pods();
        for service in objects.of_kind("Service") {
            let selector = json!({ "matchLabels": service["spec"]["selector"] });
            let pods: Vec<_> = pods.iter().filter(|pod| pod.is_selected_by(&selector)).collect();
            let [pod] = pods.as_slice() else {
                panic!("{set}: {} leads to {} pods", name_of(service), pods.len())
            };
            for port in list(&service["spec"]["ports"]) {
                assert!(port["name"].is_string(), "{set}: {}: {port}", name_of(service));
                let mut open = pod.containers().flat_map(|container| list(&container["ports"]));
                assert!(
                    open.any(|open| open["name"] == port["targetPort"]),
                    "{set}: {}: {port}",
                    name_of(service)
                );
            }
        }
    }
}

#[test]
fn routes_lead_to_services_that_are_there() {
    let Some(helm) = Helm::find() else { return };
    let objects =
        helm.render(&["--set", "ingress.enabled=true,httpRoute.enabled=true,httpRoute.parentRefs[0].name=g"]);
    let ingress =
        &objects.named("Ingress", "shop")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!(*ingress, json!({ "name": "shop-web", "port": { "name": "http" } }));
    let route = &objects.named("HTTPRoute", "shop")["spec"]["rules"][0]["backendRefs"];
    assert_eq!(*route, json!([{ "name": "shop-web", "port": 80 }]));
    assert_eq!(objects.named("Service", "shop-web")["spec"]["ports"][0]["port"], 80);
}

/// Minimal rights; ../../../../services/outbox-controller says what it asks of the API server.
#[test]
fn the_controller_may_do_just_what_it_does() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--set", "controller.secretNames={loyalty-db-app,loyalty-rabbitmq}"]);
    let rules = json!([
        { "apiGroups": ["outbox.shop.dev"], "resources": ["outboxpublishers"], "verbs": ["get", "list", "watch"] },
        { "apiGroups": ["outbox.shop.dev"], "resources": ["outboxpublishers/status"], "verbs": ["patch"] },
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["create", "get", "list", "watch", "update"],
        },
        { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"] },
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["loyalty-db-app", "loyalty-rabbitmq", "shop-db-app", "shop-rabbitmq-default-user"],
            "verbs": ["get", "list", "watch"],
        },
    ]);
    assert_eq!(objects.named("Role", "shop-outbox-controller")["rules"], rules);
    let binding = objects.named("RoleBinding", "shop-outbox-controller");
    assert_eq!(binding["roleRef"]["name"], "shop-outbox-controller");
    let account =
        json!([{ "kind": "ServiceAccount", "name": "shop-outbox-controller", "namespace": "shop" }]);
    assert_eq!(binding["subjects"], account);
    let count = |kind| objects.of_kind(kind).count();
    assert_eq!(["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"].map(count), [1, 1, 0, 0]);
}

#[test]
fn a_publisher_of_somebody_elses_secrets_lets_the_controller_read_them() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&[
        "--set",
        "outboxPublishers.payments.database.secret.name=pay-db,outboxPublishers.payments.broker.secret.name=pay-mq",
    ]);
    let publisher = &objects.named("OutboxPublisher", "shop-payments")["spec"];
    assert_eq!(publisher["database"]["secretRef"], json!({ "name": "pay-db", "key": "uri" }));
    assert_eq!(publisher["broker"]["secretRef"], json!({ "name": "pay-mq", "key": "connection_string" }));
    let names = &objects.named("Role", "shop-outbox-controller")["rules"][4]["resourceNames"];
    assert_eq!(*names, json!(["pay-db", "pay-mq", "shop-db-app", "shop-rabbitmq-default-user"]));
}

#[test]
fn a_budget_lets_a_node_be_drained_whatever_the_number_of_replicas() {
    let Some(helm) = Helm::find() else { return };
    for replicas in ["1", "5"] {
        let objects = helm.render(&["--set", &format!("serviceDefaults.replicas={replicas}")]);
        let pods = objects.pods();
        let budgets: Vec<_> = objects.of_kind("PodDisruptionBudget").collect();
        assert_eq!(budgets.len(), objects.of_kind("Deployment").count());
        for budget in budgets {
            assert_eq!(budget["spec"]["maxUnavailable"], 1);
            assert!(budget["spec"]["minAvailable"].is_null());
            let selected = pods.iter().filter(|pod| pod.is_selected_by(&budget["spec"]["selector"]));
            assert_eq!(selected.count(), 1, "{}", name_of(budget));
        }
    }
}

/// autoscaling.rs tests the numbers.
#[test]
fn every_deployment_says_its_replicas_also_when_an_autoscaler_keeps_them() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--values", "values-production.yaml"]);
    let scaled: BTreeSet<_> = objects
        .of_kind("HorizontalPodAutoscaler")
        .map(|scaler| scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap())
        .collect();
    let expected =
        ["shop-auth", "shop-catalog", "shop-notification", "shop-order", "shop-payment", "shop-web"];
    assert_eq!(scaled, BTreeSet::from(expected));
    for deployment in objects.of_kind("Deployment") {
        assert!(deployment["spec"]["replicas"].as_u64() > Some(0), "{}", name_of(deployment));
    }
}

#[test]
fn two_bots_never_run_at_once() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--values", "values-production.yaml"]);
    let spec = &objects.named("Deployment", "shop-telegram")["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"], json!({ "type": "Recreate" }));
}

#[test]
fn a_changed_variable_rolls_the_pods_that_read_it_and_no_others() {
    let Some(helm) = Helm::find() else { return };
    let before = helm.render(&[]);
    let after = helm.render(&["--set-string", "services.order.env.ORDER_GUEST_CHECKOUT=true"]);
    let rolled: Vec<_> = before
        .of_kind("Deployment")
        .filter(|old| after.named("Deployment", name_of(old))["spec"]["template"] != old["spec"]["template"])
        .map(name_of)
        .collect();
    assert_eq!(rolled, ["shop-order"]);
}

#[test]
fn a_new_chart_of_the_same_shop_rolls_nothing() {
    let Some(helm) = Helm::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut package = helm.command();
    package.args(["package", ".", "--version", "9.9.9", "--destination"]).arg(folder.path());
    assert!(package.output().unwrap().status.success());
    let archive = folder.path().join("shop-9.9.9.tgz").display().to_string();
    let output = helm.command().args(["template", "shop", &archive, "--namespace", "shop"]).output().unwrap();
    let new = Objects::parse(&String::from_utf8(output.stdout).unwrap());
    for old in helm.render(&[]).of_kind("Deployment") {
        let template = &new.named("Deployment", name_of(old))["spec"]["template"];
        assert_eq!(*template, old["spec"]["template"], "{}", name_of(old));
    }
}

#[test]
fn a_new_service_is_a_few_values_and_no_template() {
    let Some(helm) = Helm::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("loyalty.yaml");
    std::fs::write(
        &values,
        "
services:
  loyalty:
    image: {repository: shop/loyalty}
    variables: {listen: LOYALTY_LISTEN, database: LOYALTY_DATABASE_URL, broker: LOYALTY_RABBITMQ_URL}
    internet: true
    secretEnv: {LOYALTY_PARTNER_KEY: {secret: partner, key: key}}
secrets:
  partner: {existingSecret: loyalty-partner}
outboxPublishers:
  loyalty: {database: {schema: loyalty}, appId: loyalty_service}
",
    )
    .unwrap();
    let objects = helm.render(&["--values", &values.display().to_string()]);
    let made: BTreeSet<_> = objects
        .0
        .iter()
        .filter(|object| name_of(object) == "shop-loyalty" && kind_of(object) != "OutboxPublisher")
        .map(kind_of)
        .collect();
    let kinds =
        ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"];
    assert_eq!(made, BTreeSet::from(kinds));
    let container = &objects.named("Deployment", "shop-loyalty")["spec"]["template"]["spec"]["containers"][0];
    let from = |variable| {
        let variable = list(&container["env"]).find(|env| env["name"] == variable).unwrap();
        let from = &variable["valueFrom"]["secretKeyRef"];
        [&from["name"], &from["key"]].map(|text| text.as_str().unwrap())
    };
    let file = list(&container["env"]).find(|env| env["name"] == "LOYALTY_DATABASE_URL_FILE").unwrap();
    assert_eq!(file["value"], "/run/secrets/database/url");
    assert_eq!(from("LOYALTY_RABBITMQ_URL"), ["shop-rabbitmq-default-user", "connection_string"]);
    assert_eq!(from("LOYALTY_PARTNER_KEY"), ["loyalty-partner", "key"]);
    assert_eq!(objects.named("OutboxPublisher", "shop-loyalty")["spec"]["database"]["schema"], "loyalty");
}

/// What an OutboxPublisher waits for.
fn required(objects: &Objects, publisher: &str) -> Value {
    objects.named("OutboxPublisher", publisher)["spec"]["requiredQueues"].clone()
}

/// A publisher that waited for a queue that nobody declares would publish nothing, for ever.
#[test]
fn nothing_waits_for_the_queue_of_a_service_that_does_not_run() {
    let Some(helm) = Helm::find() else { return };
    let all = helm.render(&[]);
    assert_eq!(required(&all, "shop-orders"), json!(["catalog", "payment", "notification"]));
    assert_eq!(required(&all, "shop-catalog"), json!(["payment", "order"]));
    assert_eq!(required(&all, "shop-payments"), json!(["order", "notification"]));
    for off in ["services.notification.enabled=false", "services.notification=null"] {
        let less = helm.render(&["--set", off]);
        assert_eq!(required(&less, "shop-orders"), json!(["catalog", "payment"]), "{off}");
        assert_eq!(required(&less, "shop-payments"), json!(["order"]), "{off}");
    }
    let none = "services.payment.enabled=false,services.notification.enabled=false,services.catalog.enabled=false,\
                services.order.calls=null,services.web.enabled=false,services.telegram.enabled=false";
    assert!(required(&helm.render(&["--set", none]), "shop-orders").is_null());
    // A queue of somebody else's.
    let others = helm.render(&["--set", "outboxPublishers.orders.requiredQueues={payment,warehouse}"]);
    assert_eq!(required(&others, "shop-orders"), json!(["payment", "warehouse"]));
}

#[test]
fn the_test_waits_for_a_settled_order_where_all_runs_that_settles_it() {
    let Some(helm) = Helm::find() else { return };
    let waits = |set: &str| {
        let objects = helm.render(&["--set", set]);
        let container = objects.named("Pod", "shop-test")["spec"]["containers"][0].clone();
        list(&container["env"]).any(|env| env["name"] == "TRY_UNTIL_SETTLED" && env["value"] == "true")
    };
    assert!(waits("services.notification.enabled=false"), "it settles nothing");
    for set in [
        "services.payment.enabled=false",
        "outboxPublishers.catalog=null",
        "outboxPublishers.payments=null",
        "controller.enabled=false",
    ] {
        assert!(!waits(set), "{set}");
    }
}

/// The variable of a pod that is from this Secret and key.
fn variable_from(objects: &Objects, deployment: &str, variable: &str) -> Option<[String; 2]> {
    let container = &objects.named("Deployment", deployment)["spec"]["template"]["spec"]["containers"][0];
    let found = list(&container["env"]).find(|env| env["name"] == variable)?;
    let from = &found["valueFrom"]["secretKeyRef"];
    Some([&from["name"], &from["key"]].map(|text| text.as_str().unwrap().to_owned()))
}

#[test]
fn the_two_ends_of_a_sealed_token_have_the_same_secret() {
    let Some(helm) = Helm::find() else { return };
    for (set, objects) in helm.sets() {
        let secret = |deployment| variable_from(&objects, deployment, "ORDER_LINK_SECRET");
        assert!(secret("shop-order").is_some(), "{set}");
        assert_eq!(secret("shop-order"), secret("shop-notification"), "{set}");
    }
}

#[test]
fn only_with_stripes_key_is_stripe_reached_and_without_it_no_empty_secret_is_made() {
    let Some(helm) = Helm::find() else { return };
    let without = helm.render(&[]);
    let with = helm.render(&["--set", "secrets.stripe.keys.secret-key.value=sk_test_x"]);
    let key = |objects| variable_from(objects, "shop-payment", "PAYMENT_STRIPE_SECRET_KEY");
    assert_eq!(key(&without), None);
    assert_eq!(key(&with), Some(["shop-stripe", "secret-key"].map(ToOwned::to_owned)));
    assert!(without.of_kind("Secret").all(|secret| name_of(secret) != "shop-stripe"));
    let out = |objects: &Objects| {
        let policy = objects.named("NetworkPolicy", "shop-payment");
        list(&policy["spec"]["egress"]).any(|rule| rule["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0")
    };
    assert!(!out(&without) && out(&with));
}

/// A variable that no service knows would be ignored silently.
#[test]
fn every_variable_that_the_chart_sets_is_documented() {
    let Some(helm) = Helm::find() else { return };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let standard = ["OTEL_", "TOKIO_WORKER_THREADS", "POD_", "TRY_"];
    let ours = |variable: &&str| !standard.iter().any(|prefix| variable.starts_with(prefix));
    let objects = helm.render(&["--values", "values-production.yaml", "--set", "admin.email=a@example.com"]);
    let pods = objects.pods();
    let own = pods.iter().flat_map(Pod::containers).flat_map(|container| list(&container["env"]));
    let own = own.map(|variable| variable["name"].as_str().unwrap());
    let maps = objects.of_kind("ConfigMap").filter(|map| !name_of(map).ends_with("-dashboard"));
    let mapped = maps.flat_map(|map| map["data"].as_object().unwrap().keys().map(String::as_str));
    let unknown: BTreeSet<_> = own
        .chain(mapped)
        .filter(ours)
        // Any variable can be given as a file.
        .map(|variable| variable.strip_suffix("_FILE").unwrap_or(variable))
        .filter(|variable| !readme.contains(&format!("`{variable}`")))
        .collect();
    assert!(unknown.is_empty(), "not in README.md: {unknown:?}");
}

#[test]
fn the_charts_app_is_the_workspaces_version() {
    let text = std::fs::read_to_string(crate::support::chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
