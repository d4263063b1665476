use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{dockerfile, tree};

fn services() -> BTreeMap<String, Value> {
    let compose = tree::yaml("docker-compose.yml");
    let services = compose["services"].as_object().unwrap();
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// One of the shop's own services. Several may run one image: there is a publisher for each outbox.
pub(crate) struct Ours {
    pub(crate) name: String,
    /// The target of the Dockerfile.
    pub(crate) image: String,
    pub(crate) service: Value,
}

pub(crate) fn ours() -> Vec<Ours> {
    services()
        .into_iter()
        .filter_map(|(name, service)| {
            let image = service["build"]["target"].as_str()?.to_owned();
            Some(Ours { name, image, service })
        })
        .collect()
}

#[test]
fn compose_runs_every_image_but_the_one_that_holds_all() {
    let mut targets = dockerfile::targets();
    targets.remove("shop");
    assert_eq!(ours().into_iter().map(|ours| ours.image).collect::<BTreeSet<_>>(), targets);
    for Ours { image, service, .. } in ours() {
        assert_eq!(service["image"], format!("shop/{image}:dev"));
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
const ONLY_IN_COMPOSE: [(&str, &[&str]); 6] = [
    // In the chart they come from one value each: `tokens`, `admin`.
    ("auth", &["AUTH_ADMIN_EMAIL", "AUTH_ADMIN_PASSWORD"]),
    // The chart allows no guests by default.
    ("order", &["ORDER_GUEST_ORDERS_PER_MINUTE"]),
    // For tests with their own Bot API.
    ("telegram", &["TELEGRAM_API_URL"]),
    ("notification", &["TELEGRAM_API_URL"]),
    // For tests with their own provider, and to see what a slow or absent one does.
    (
        "payment",
        &[
            "PAYMENT_STRIPE_URL",
            "PAYMENT_SIMULATED_DELAY_MS",
            "PAYMENT_SIMULATED_OUTAGE",
            "PAYMENT_SIMULATED_WEBHOOK_URL",
        ],
    ),
    // In Kubernetes, the OutboxPublisher sets it.
    (
        "outbox-controller",
        &[
            "OUTBOX_DATABASE_URL",
            "OUTBOX_RABBITMQ_URL",
            "OUTBOX_SCHEMA",
            "OUTBOX_APP_ID",
            "OUTBOX_REQUIRED_QUEUES",
            "OUTBOX_BATCH_SIZE",
            "OUTBOX_POLL_INTERVAL_MS",
            "OUTBOX_MAX_ATTEMPTS",
            "OUTBOX_RETENTION_HOURS",
        ],
    ),
];

#[test]
fn only_compose_is_a_demonstration() {
    for Ours { image, service, .. } in ours() {
        let demo = service["environment"]["SHOP_DEMO"].as_str();
        let has_secrets = !matches!(image.as_str(), "telegram" | "outbox-controller");
        assert_eq!(demo, has_secrets.then_some("${SHOP_DEMO:-true}"), "{image}");
    }
    let chart = tree::read("charts/shop/values.yaml") + &tree::read("charts/shop/templates/_service.tpl");
    assert!(!chart.contains("SHOP_DEMO"));
}

#[test]
fn compose_and_the_chart_set_the_same_variables() {
    let values = tree::yaml("charts/shop/values.yaml");
    for Ours { image, name, service } in ours() {
        let common = |variable: &str| {
            // Compose's ports are open to this machine only; in a cluster it depends on who can call.
            variable == "TRUST_TRACEPARENT"
                || variable.starts_with("OTEL_")
                || variable.starts_with("AUTH_JWT_") && variable != "AUTH_JWT_EXPIRE_MINUTES"
        };
        let in_compose = tree::keys(&service["environment"]);
        let only: BTreeSet<&str> = ONLY_IN_COMPOSE
            .iter()
            .filter(|(of, _)| *of == image)
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

        let chart = &values["services"][&image];
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
        assert_eq!(in_compose, in_chart, "{name}");
    }
}

/// The variables of the specification's .env.
const SPECIFIED: [&str; 20] = [
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "RABBITMQ_DEFAULT_USER",
    "RABBITMQ_DEFAULT_PASS",
    "AUTH_JWT_SECRET",
    "AUTH_JWT_ALGORITHM",
    "AUTH_JWT_EXPIRE_MINUTES",
    "AUTH_DATABASE_URL",
    "CATALOG_REDIS_URL",
    "ORDER_DATABASE_URL",
    "ORDER_RABBITMQ_URL",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_AUTH_URL",
    "TELEGRAM_CATALOG_URL",
    "TELEGRAM_ORDER_URL",
    "WEB_SESSION_SECRET",
    "WEB_AUTH_URL",
    "WEB_CATALOG_URL",
    "WEB_ORDER_URL",
];

/// What compose takes from the environment: the names, and whether each can do without.
fn taken() -> BTreeMap<String, bool> {
    let text = tree::read("docker-compose.yml");
    let mut taken = BTreeMap::new();
    for use_of in text.split("${").skip(1) {
        let (inside, _) = use_of.split_once('}').unwrap();
        let end =
            inside.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(inside.len());
        let (name, rest) = inside.split_at(end);
        assert!(!rest.contains('{'), "docker-compose 1.29 reads no braces inside a default: {inside}");
        let has_default = rest.starts_with(":-") || rest.starts_with('-');
        *taken.entry(name.to_owned()).or_insert(true) &= has_default;
    }
    taken
}

#[test]
fn the_specifications_variables_are_enough() {
    let needed = taken().into_iter().filter(|(_, has_default)| !has_default);
    let unknown: Vec<String> =
        needed.map(|(name, _)| name).filter(|name| !SPECIFIED.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "compose needs {unknown:?}, which the specification's .env does not set");
}

#[test]
fn what_the_example_file_sets_is_used() {
    let taken = taken();
    let example = tree::read(".env.example");
    let set = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let set: Vec<&str> = set.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect();
    assert!(set.len() >= 20, "{set:?}");
    for name in &set {
        assert!(taken.contains_key(*name), "compose does not use {name}");
    }
    for name in SPECIFIED {
        assert!(set.contains(&name), ".env.example does not set {name}");
    }
}

/// What is the same wherever an outbox is published: its schema, the name that it publishes under, and the queues that it waits for.
type Outbox = (String, String, BTreeSet<String>);

fn outboxes_in_compose() -> BTreeSet<Outbox> {
    let publishers = ours().into_iter().filter(|ours| ours.image == "outbox-controller");
    publishers
        .map(|publisher| {
            let variable = |name: &str| publisher.service["environment"][name].as_str().unwrap().to_owned();
            let queues = variable("OUTBOX_REQUIRED_QUEUES").split(',').map(str::to_owned).collect();
            (variable("OUTBOX_SCHEMA"), variable("OUTBOX_APP_ID"), queues)
        })
        .collect()
}

fn outboxes_in_the_chart() -> BTreeSet<Outbox> {
    let values = tree::yaml("charts/shop/values.yaml");
    let publishers = values["outboxPublishers"].as_object().unwrap().values();
    publishers
        .map(|publisher| {
            let queues = tree::strings(&publisher["requiredQueues"]).into_iter().map(str::to_owned).collect();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&publisher["database"]["schema"]), text(&publisher["appId"]), queues)
        })
        .collect()
}

#[test]
fn every_outbox_is_published_and_waits_for_the_same_queues_in_compose_and_in_the_chart() {
    let compose = outboxes_in_compose();
    assert_eq!(compose, outboxes_in_the_chart());
    let schemas: BTreeSet<&str> = compose.iter().map(|(schema, ..)| schema.as_str()).collect();
    assert_eq!(schemas, BTreeSet::from(["catalog", "orders", "payments"]));
}

/// A misspelled name would hold up every event for ever.
#[test]
fn every_queue_that_a_publisher_waits_for_is_one_that_a_service_consumes() {
    let sources = tree::sources();
    for queue in outboxes_in_compose().into_iter().flat_map(|(_, _, queues)| queues) {
        let declared = format!("const QUEUE: &'static str = \"{queue}\";");
        assert!(sources.iter().any(|source| source.contains(&declared)), "nobody consumes {queue}");
    }
}
