use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{dockerfile, tree};

fn services() -> BTreeMap<String, Value> {
    let compose = tree::yaml("docker-compose.yml");
    let services = compose["services"].as_object().unwrap();
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// The shop's own services, by image.
pub(crate) fn ours() -> BTreeMap<String, (String, Value)> {
    services()
        .into_iter()
        .filter_map(|(name, service)| {
            let target = service["build"]["target"].as_str()?.to_owned();
            Some((target, (name, service)))
        })
        .collect()
}

#[test]
fn compose_runs_every_image_but_the_one_that_holds_all() {
    let mut targets = dockerfile::targets();
    targets.remove("shop");
    assert_eq!(ours().into_keys().collect::<BTreeSet<_>>(), targets);
    for (target, (_, service)) in ours() {
        assert_eq!(service["image"], format!("shop/{target}:dev"));
    }
}

#[test]
fn other_peoples_images_have_a_version() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{name} runs {image}"));
        assert_ne!(tag, "latest", "{name}");
    }
}

#[test]
fn compose_and_the_chart_have_the_same_backends() {
    let services = services();
    for (name, image) in tree::backends() {
        // In compose, PostgreSQL has the name from the specification.
        let name = if name == "postgres" { "db" } else { &name };
        assert_eq!(services[name]["image"], image, "{name}");
    }
}

#[test]
fn what_is_mounted_is_there() {
    for (name, service) in services() {
        for mount in tree::strings(&service["volumes"]) {
            if let Some((file, _)) = mount.strip_prefix("./").and_then(|mount| mount.split_once(':')) {
                tree::assert_exists(file, &format!("{name} in docker-compose.yml"));
            }
        }
    }
}

/// Variables that compose sets only to the service's own defaults.
const ONLY_IN_COMPOSE: [(&str, &[&str]); 4] = [
    // In the chart they come from one value each: `tokens`, `admin`.
    ("auth", &["AUTH_ADMIN_EMAIL", "AUTH_ADMIN_PASSWORD"]),
    // The chart allows no guests by default.
    ("order", &["ORDER_GUEST_ORDERS_PER_MINUTE"]),
    // For tests with their own Bot API.
    ("telegram", &["TELEGRAM_API_URL"]),
    // In Kubernetes, the OutboxPublisher sets it.
    (
        "outbox-controller",
        &[
            "OUTBOX_DATABASE_URL",
            "OUTBOX_RABBITMQ_URL",
            "OUTBOX_BATCH_SIZE",
            "OUTBOX_POLL_INTERVAL_MS",
            "OUTBOX_MAX_ATTEMPTS",
            "OUTBOX_RETENTION_HOURS",
        ],
    ),
];

#[test]
fn only_compose_is_a_demonstration() {
    for (target, (_, service)) in ours() {
        let demo = service["environment"]["SHOP_DEMO"].as_str();
        let has_secrets = matches!(target.as_str(), "auth" | "catalog" | "order" | "web");
        assert_eq!(demo, has_secrets.then_some("${SHOP_DEMO:-true}"), "{target}");
    }
    let chart = tree::read("charts/shop/values.yaml") + &tree::read("charts/shop/templates/_service.tpl");
    assert!(!chart.contains("SHOP_DEMO"));
}

#[test]
fn compose_and_the_chart_set_the_same_variables() {
    let values = tree::yaml("charts/shop/values.yaml");
    for (target, (_, service)) in ours() {
        let common = |variable: &str| {
            // Compose's ports are open to this machine only; in a cluster it depends on who can call.
            variable == "TRUST_TRACEPARENT"
                || variable.starts_with("OTEL_")
                || variable.starts_with("AUTH_JWT_") && variable != "AUTH_JWT_EXPIRE_MINUTES"
        };
        let in_compose = tree::keys(&service["environment"]);
        let only: BTreeSet<&str> = ONLY_IN_COMPOSE
            .iter()
            .filter(|(name, _)| *name == target)
            .flat_map(|(_, only)| *only)
            .copied()
            .collect();
        let in_compose: BTreeSet<&str> = in_compose
            .into_iter()
            .filter(|variable| !common(variable) && !matches!(*variable, "RUST_LOG" | "LOG_FORMAT"))
            // Only compose is a demonstration, never a cluster.
            .filter(|variable| *variable != "SHOP_DEMO")
            .filter(|variable| !only.contains(variable))
            .collect();

        let chart = &values["services"][&target];
        let variables = chart["variables"].as_object().into_iter().flatten();
        let variables = variables
            .filter(|(what, _)| !matches!(what.as_str(), "listen" | "probes"))
            .filter_map(|(_, variable)| variable.as_str());
        let calls =
            chart["calls"].as_object().into_iter().flatten().filter_map(|(_, variable)| variable.as_str());
        let in_chart: BTreeSet<&str> = variables
            .chain(calls)
            .chain(tree::keys(&chart["env"]))
            .chain(tree::keys(&chart["secretEnv"]))
            .filter(|variable| !common(variable) && *variable != "TOKIO_WORKER_THREADS")
            .collect();
        assert_eq!(in_compose, in_chart, "{target}");
    }
}
