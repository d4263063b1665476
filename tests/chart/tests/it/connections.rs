//! The table of database connections in docs/operations.md: what the code opens at most, times the pods there can be.

use std::fs;

use serde_json::Value;
use shop_runtime::database::SERVICE_CONNECTIONS;

use crate::support::{chart, root};

/// PostgreSQL's own, `superuser_reserved_connections`.
const RESERVED: u64 = 3;

fn values(file: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(chart().join(file)).unwrap()).unwrap()
}

/// What `path` says in the first of these that says something.
fn first<'v>(layers: &[&'v Value], path: &str) -> Option<&'v Value> {
    layers.iter().filter_map(|layer| layer.pointer(path)).find(|value| !value.is_null())
}

/// The most pods that there may be of a component: those that the values want, and what a roll-out adds.
fn pods(values: &[Value], component: &str) -> u64 {
    let own: Vec<&Value> = values.iter().filter_map(|values| values.pointer(component)).collect();
    let all: Vec<&Value> = values.iter().map(|values| &values["serviceDefaults"]).collect();
    let layers = [own, all].concat();
    let number = |path: &str| first(&layers, path).unwrap().as_u64().unwrap();
    let scales =
        component != "/controller" && first(&layers, "/autoscaling/enabled") == Some(&Value::Bool(true));
    let most = if scales { number("/autoscaling/maxReplicas") } else { number("/replicas") };
    most + number("/strategy/rollingUpdate/maxSurge")
}

/// The rows of the page's table, without its head.
fn rows(page: &str) -> Vec<Vec<String>> {
    let (_, table) = page.split_once("<!-- tests/chart/tests/it/connections.rs compares").unwrap();
    let lines = table.lines().skip(3).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

#[test]
fn the_table_of_connections_is_what_the_code_opens_and_the_chart_runs() {
    let (default, production) = (values("values.yaml"), values("values-production.yaml"));
    let outboxes = default["outboxPublishers"].as_object().unwrap().len();
    let mut components: Vec<(String, String, u32)> = default["services"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, service)| service.pointer("/variables/database").is_some())
        .map(|(name, _)| (format!("`shop-{name}`"), format!("/services/{name}"), SERVICE_CONNECTIONS))
        .collect();
    components.push((
        format!("`shop-outbox-controller`, {outboxes} OutboxPublishers"),
        "/controller".to_owned(),
        shop_outbox::CONNECTIONS * u32::try_from(outboxes).unwrap(),
    ));

    let sets = [vec![default.clone()], vec![production, default]];
    let (mut expected, mut sums) = (Vec::new(), [0, 0]);
    for (name, component, connections) in components {
        let mut row = vec![name, connections.to_string()];
        for (values, sum) in sets.iter().zip(&mut sums) {
            let pods = pods(values, &component);
            let all = pods * u64::from(connections);
            row.extend([pods.to_string(), all.to_string()]);
            *sum += all;
        }
        expected.push(row);
    }
    let sum = ["all", "", "", &sums[0].to_string(), "", &sums[1].to_string()];
    expected.push(sum.map(ToOwned::to_owned).to_vec());

    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    assert_eq!(rows(&page), expected);
    let enough = sums[1] + RESERVED;
    assert!(page.contains(&format!("the production values need {enough};")), "{enough}");
    let example = page.split_once("max_connections: \"").unwrap().1.split('"').next().unwrap();
    assert!(example.parse::<u64>().unwrap() >= enough, "the page's own example, {example}");
    let dev = fs::read_to_string(chart().join("templates/dev/postgres.yaml")).unwrap();
    let dev = dev.split_once("max_connections=").unwrap().1.split(',').next().unwrap();
    assert!(dev.parse::<u64>().unwrap() >= sums[0] + RESERVED, "devInfra, {dev}");
}
