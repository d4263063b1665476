//! The Tiltfile, run by Python in place of Tilt: see tiltfile.py.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{dockerfile, tree};

/// What the Tiltfile requested.
struct Asked(Vec<Value>);

impl Asked {
    fn of(&self, function: &str) -> Vec<(&Value, &Value)> {
        let calls = self.0.iter().filter(|call| call[0] == function);
        calls.map(|call| (&call[1], &call[2])).collect()
    }

    /// An argument, given by position or by name.
    fn argument<'a>((positional, named): (&'a Value, &'a Value), place: usize, name: &str) -> &'a Value {
        if named[name].is_null() { &positional[place] } else { &named[name] }
    }
}

/// Runs it in a cluster called `context`; `None` without Python.
fn run(context: &str, token: Option<&str>) -> Option<Asked> {
    // The part of the chart's objects that the Tiltfile looks at: the workloads. The bot is only there with its token.
    let workloads = tree::workloads().into_iter().filter(|name| token.is_some() || name != "shop-telegram");
    let workload = |name: String| json!({"kind": "Deployment", "metadata": {"name": name}});
    let mut rendered: Vec<Value> = workloads.map(workload).collect();
    rendered.push(json!({"kind": "Namespace", "metadata": {"name": "shop"}}));
    rendered.push(
        json!({"kind": "CustomResourceDefinition", "metadata": {"name": "outboxpublishers.outbox.shop.dev"}}),
    );
    rendered.push(
        json!({"kind": "Pod", "metadata": {"name": "shop-test", "annotations": {"helm.sh/hook": "test"}}}),
    );
    for outbox in tree::keys(&tree::yaml("charts/shop/values.yaml")["outboxPublishers"]) {
        let name = format!("shop-{outbox}");
        rendered.push(json!({"kind": "OutboxPublisher", "metadata": {"name": name}}));
    }
    let given = json!({
        "files": {"charts/shop/values.yaml": tree::yaml("charts/shop/values.yaml")},
        "rendered": rendered,
        "context": context,
        "environment": token.map_or(json!({}), |token| json!({"TELEGRAM_BOT_TOKEN": token})),
    });
    let python = Command::new("python3")
        .args(["-c", include_str!("tiltfile.py")])
        .current_dir(tree::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        shop_testing::skip("there is no python3");
        return None;
    };
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Asked(serde_json::from_slice(&output.stdout).unwrap()))
}

#[test]
fn it_builds_every_image_that_runs_from_files_that_there_are() {
    let Some(asked) = run("kind-shop", Some("1:token")) else { return };
    let mut targets = dockerfile::targets();
    targets.remove("shop");
    let mut built = BTreeSet::new();
    for call in asked.of("custom_build") {
        let image = Asked::argument(call, 0, "ref").as_str().unwrap();
        let target = image.strip_prefix("shop/").unwrap();
        let command = Asked::argument(call, 1, "command");
        assert_eq!(*command, format!("cargo xtask images --dev --name \"$EXPECTED_REF\" {target}"));
        for path in tree::strings(Asked::argument(call, 2, "deps")) {
            tree::assert_exists(path, "the Tiltfile");
        }
        built.insert(target.to_owned());
    }
    assert_eq!(built, targets);
}

#[test]
fn it_installs_the_chart_for_development_into_its_namespace() {
    let Some(asked) = run("kind-shop", None) else { return };
    let [helm] = asked.of("helm")[..] else { panic!("helm is called once") };
    tree::assert_exists(Asked::argument(helm, 0, "pathToChartDir").as_str().unwrap(), "the Tiltfile");
    for file in tree::strings(&helm.1["values"]) {
        tree::assert_exists(file, "the Tiltfile");
    }
    let installed = asked.of("k8s_yaml");
    let [namespace, objects] = installed[..] else { panic!("the namespace, and what is in it") };
    tree::assert_exists(namespace.0[0].as_str().unwrap(), "the Tiltfile");
    for object in objects.0[0].as_array().unwrap() {
        assert!(object["kind"] != "Namespace" && object["kind"] != "Pod", "{object}");
        let is_definition = object["kind"] == "CustomResourceDefinition";
        assert_eq!(object["metadata"]["namespace"].is_null(), is_definition, "{object}");
    }
}

#[test]
fn it_shows_every_workload_once_and_under_a_label() {
    for token in [None, Some("1:token")] {
        let Some(asked) = run("kind-shop", token) else { return };
        let shown: Vec<String> = asked
            .of("k8s_resource")
            .into_iter()
            .map(|call| {
                assert!(!tree::strings(&call.1["labels"]).is_empty(), "{call:?}");
                Asked::argument(call, 0, "workload").as_str().unwrap().to_owned()
            })
            .collect();
        let mut expected: Vec<String> = tree::workloads().into_iter().collect();
        expected.retain(|name| token.is_some() || name != "shop-telegram");
        let mut sorted = shown.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
    }
}

/// The ports that the Tiltfile forwards, and those that the cluster opens itself.
fn ports(asked: &Asked) -> BTreeSet<u64> {
    asked.of("port_forward").into_iter().map(|call| call.0[0].as_u64().unwrap()).collect()
}

#[test]
fn every_port_is_open_and_none_twice() {
    let all = BTreeSet::from([5432, 8001, 8002, 8003, 8004, 8005, 8025, 8080, 15672, 16686]);
    let Some(elsewhere) = run("minikube", None) else { return };
    assert_eq!(ports(&elsewhere), all);

    let kind = tree::yaml("k8s/kind.yaml");
    let mappings =
        kind["nodes"].as_array().unwrap().iter().flat_map(|node| node["extraPortMappings"].as_array());
    let mapped: BTreeSet<u64> =
        mappings.flatten().map(|mapping| mapping["hostPort"].as_u64().unwrap()).collect();
    let Some(on_kind) = run(&format!("kind-{}", kind["name"].as_str().unwrap()), None) else { return };
    let forwarded = ports(&on_kind);
    assert!(forwarded.is_disjoint(&mapped));
    assert_eq!(&forwarded | &mapped, all);
}

#[test]
fn a_button_waits_to_be_clicked() {
    let Some(asked) = run("kind-shop", None) else { return };
    let buttons = asked.of("local_resource");
    let names: BTreeSet<&str> = buttons.iter().map(|call| call.0[0].as_str().unwrap()).collect();
    for name in
        ["place-an-order", "kill-the-leader", "drain-order", "run-the-tests", "open-jaeger-at-the-last-order"]
    {
        assert!(names.contains(name), "{name}");
    }
    let resources: BTreeSet<&str> =
        asked.of("k8s_resource").iter().map(|call| call.1["new_name"].as_str().unwrap()).collect();
    for (positional, named) in buttons {
        assert_eq!(named["auto_init"], json!(false), "{positional}");
        assert_eq!(named["trigger_mode"], "manual", "{positional}");
        for needed in tree::strings(&named["resource_deps"]) {
            assert!(resources.contains(needed), "{positional} waits for {needed}");
        }
    }
}

#[test]
fn what_a_button_runs_is_a_script() {
    let Some(asked) = run("kind-shop", None) else { return };
    for (positional, _) in asked.of("local_resource") {
        let script = positional[1].as_str().unwrap();
        let output = Command::new("sh").args(["-n", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{positional}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
