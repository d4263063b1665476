use std::collections::BTreeSet;

use serde_json::Value;

use crate::{compose, dockerfile, tree};

/// The metrics that the sources register, by their Prometheus names.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in tree::sources() {
        let prefix =
            source.split_once("sub_registry_with_prefix(\"").map(|(_, rest)| rest.split('"').next().unwrap());
        // A collector describes its metrics when it is asked.
        let calls = ["registry.register(", "encode_descriptor("];
        for call in calls.iter().flat_map(|call| source.split(call).skip(1)) {
            let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            let name = prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"));
            for suffix in ["", "_total", "_bucket", "_sum", "_count"] {
                names.insert(format!("{name}{suffix}"));
            }
        }
    }
    names
}

/// The words of a query that can only be metric names.
fn metrics(query: &str) -> BTreeSet<String> {
    let mut rest = query.to_owned();
    for (begin, end) in [('"', '"'), ('{', '}'), ('[', ']')] {
        while let Some(from) = rest.find(begin) {
            let to = rest[from + 1..].find(end).unwrap_or_else(|| panic!("{query}")) + from + 1;
            rest.replace_range(from..=to, " ");
        }
    }
    let words = rest.split(|char: char| !char.is_alphanumeric() && char != '_' && char != ':');
    // The functions and labels in these queries are shorter, or are these.
    words
        .filter(|word| {
            word.contains('_') && !matches!(*word, "histogram_quantile" | "label_values" | "event_type")
        })
        .map(str::to_owned)
        .collect()
}

fn assert_registered(queries: &[String], whose: &str) {
    let registered = registered();
    assert!(!queries.is_empty(), "{whose} has no query");
    for query in queries {
        let metrics = metrics(query);
        assert!(!metrics.is_empty(), "{whose} asks nothing: {query}");
        for metric in metrics {
            assert!(registered.contains(&metric), "{whose} asks for {metric}, which no service has");
        }
    }
}

#[test]
fn alerts_ask_for_metrics_that_there_are() {
    let alerts = tree::yaml("charts/shop/files/alerts.yaml");
    let groups = alerts["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let queries: Vec<String> = rules.map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect();
    assert_registered(&queries, "an alert");
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&tree::read("charts/shop/files/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    // A row's heading asks nothing.
    let targets = panels.filter(|panel| panel["type"] != "row");
    let targets = targets.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert_registered(&queries, "the dashboard");
}

#[test]
fn compose_has_prometheus_ask_every_service() {
    let prometheus = tree::yaml("deploy/observability/prometheus.yml");
    let targets = tree::strings(&prometheus["scrape_configs"][0]["static_configs"][0]["targets"]).into_iter();
    let services = compose::ours()
        .into_iter()
        .map(|ours| format!("{}:{}", ours.name, dockerfile::port_of_metrics(&ours.image)));
    assert_eq!(targets.map(str::to_owned).collect::<BTreeSet<_>>(), services.collect());
}
