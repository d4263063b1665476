//! Who may talk to whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Helm, Objects, Pod, list, name_of};

/// A policy's arrows, one per line; `to` and `from` name components, or say that somebody outside the release is meant.
fn arrows(objects: &Objects, direction: &str) -> BTreeSet<String> {
    let pods = objects.pods();
    let mut arrows = BTreeSet::new();
    for policy in objects.of_kind("NetworkPolicy") {
        let own = selected(&pods, &policy["spec"]["podSelector"]);
        if name_of(policy).ends_with("-default-deny") {
            continue;
        }
        let [own] = own.as_slice() else { panic!("{} selects {own:?}", name_of(policy)) };
        let (rules, peers) = if direction == "ingress" { ("ingress", "from") } else { ("egress", "to") };
        for rule in list(&policy["spec"][rules]) {
            let ports: Vec<String> = list(&rule["ports"]).map(|port| port["port"].to_string()).collect();
            let others = list(&rule[peers]).flat_map(|peer| peer_names(&pods, peer));
            let others: Vec<String> =
                if rule[peers].is_null() { vec!["(anybody)".to_owned()] } else { others.collect() };
            for other in others {
                let (tail, head) = if direction == "ingress" { (&other, own) } else { (own, &other) };
                arrows.insert(format!("{tail} → {head} {}", ports.join(",")));
            }
        }
    }
    arrows
}

fn selected(pods: &[Pod<'_>], selector: &Value) -> Vec<String> {
    let selected: BTreeSet<_> =
        pods.iter().filter(|pod| pod.is_selected_by(selector)).map(Pod::component).collect();
    selected.into_iter().map(ToOwned::to_owned).collect()
}

fn peer_names(pods: &[Pod<'_>], peer: &Value) -> Vec<String> {
    if let Some(block) = peer["ipBlock"]["cidr"].as_str() {
        return vec![format!("({block})")];
    }
    if let Some(namespace) = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str()
    {
        return vec![format!("({namespace})")];
    }
    let selector = &peer["podSelector"];
    if selector["matchLabels"]["app.kubernetes.io/instance"] != "shop" {
        return vec![format!("({})", selector["matchLabels"])];
    }
    let names = selected(pods, selector);
    assert!(!names.is_empty(), "no pod has {selector}");
    names
}

/// Arrows with both ends in the release.
fn inner(arrows: &BTreeSet<String>) -> BTreeSet<String> {
    arrows.iter().filter(|arrow| !arrow.contains('(')).cloned().collect()
}

#[test]
fn traffic_is_what_the_architecture_says_and_nothing_else() {
    let Some(helm) = Helm::find() else { return };
    let objects =
        helm.render(&["--values", "values-dev.yaml", "--set", "secrets.telegram.keys.token.value=1:x"]);
    let egress = arrows(&objects, "egress");
    insta::assert_snapshot!(egress.iter().cloned().collect::<Vec<_>>().join("\n"));
    // Traffic needs both policies: that of its source and that of its destination.
    assert_eq!(inner(&egress), inner(&arrows(&objects, "ingress")));
}

#[test]
fn in_production_only_those_that_the_values_name_come_in_or_are_called() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--values", "values-production.yaml"]);
    let all: BTreeSet<String> = &arrows(&objects, "egress") | &arrows(&objects, "ingress");
    let outer: Vec<String> = all.difference(&inner(&all)).cloned().collect();
    insta::assert_snapshot!(outer.join("\n"));
}

#[test]
fn shoppers_reach_what_they_need_and_nobody_reaches_them() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--set", "load.enabled=true"]);
    let of_shoppers = |direction| {
        let arrows = inner(&arrows(&objects, direction));
        arrows.into_iter().filter(|arrow| arrow.contains("load")).collect::<Vec<_>>()
    };
    let expected = ["load → auth 8000", "load → catalog 8000", "load → order 8000"];
    assert_eq!(of_shoppers("egress"), expected);
    assert_eq!(of_shoppers("ingress"), expected);
}

#[test]
fn every_pod_is_closed_before_it_is_opened() {
    let Some(helm) = Helm::find() else { return };
    for (set, objects) in helm.sets() {
        let deny = objects.named("NetworkPolicy", "shop-default-deny");
        assert_eq!(deny["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(deny["spec"]["ingress"], json!([]));
        for pod in objects.pods() {
            assert!(pod.is_selected_by(&deny["spec"]["podSelector"]), "{set}: {}", pod.name());
        }
    }
}

#[test]
fn every_policy_selects_a_pod_and_names_ports_that_are_open() {
    let Some(helm) = Helm::find() else { return };
    for (set, objects) in helm.sets() {
        let pods = objects.pods();
        for policy in objects.of_kind("NetworkPolicy") {
            let own: Vec<_> =
                pods.iter().filter(|pod| pod.is_selected_by(&policy["spec"]["podSelector"])).collect();
            assert!(!own.is_empty(), "{set}: {}", name_of(policy));
            for port in list(&policy["spec"]["ingress"]).flat_map(|rule| list(&rule["ports"])) {
                let open = own
                    .iter()
                    .flat_map(|pod| pod.containers())
                    .flat_map(|container| list(&container["ports"]));
                let mut open = open.map(|open| &open["containerPort"]);
                assert!(open.any(|open| *open == port["port"]), "{set}: {}: {port}", name_of(policy));
            }
        }
    }
}
