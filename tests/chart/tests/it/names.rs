//! Releases, namespaces and labels that YAML does not read as a string, or that an API refuses. The output is decoded by
//! type, as the API server does.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use serde_json::Value;

use crate::support::{Helm, Objects, SETS, kind_of, list, name_of};

/// Helm accepts all of these names.
const RELEASES: [&str; 20] = [
    "123",
    "true",
    "null",
    "0x1f",
    "1e3",
    "on",
    "y",
    "no",
    "0o17",
    "1.5",
    "2024-11-26",
    "2024-shop",
    "my.shop",
    "1.2.shop",
    "e3",
    "nan",
    // As long as Helm allows, and cut at a hyphen.
    "a123456789b123456789c123456789d123456789e123456789abc",
    "00000000000000000000000000000000000000000000000000000",
    "a123456789b123456789c123456789d123456-e123456789-shop",
    "a123456789b123456789c123456789d12345--shop----------z",
];

fn render(helm: &Helm, release: &str, namespace: &str, arguments: &[&str]) -> Objects {
    let mut command = helm.command();
    command.args(["template", release, ".", "--namespace", namespace]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
    // A duplicate key is an error here.
    Objects::parse(&String::from_utf8(output.stdout).unwrap())
}

/// The errors of the API server's decoder, for these kinds.
fn decoded(object: &Value) -> Result<(), String> {
    fn of<T: serde::de::DeserializeOwned>(object: &Value) -> Result<(), String> {
        serde_json::from_value::<T>(object.clone()).map(drop).map_err(|error| error.to_string())
    }
    match kind_of(object) {
        "ConfigMap" => of::<ConfigMap>(object),
        "Deployment" => of::<Deployment>(object),
        "HorizontalPodAutoscaler" => of::<HorizontalPodAutoscaler>(object),
        "Ingress" => of::<Ingress>(object),
        "NetworkPolicy" => of::<NetworkPolicy>(object),
        "Pod" => of::<Pod>(object),
        "PodDisruptionBudget" => of::<PodDisruptionBudget>(object),
        "Role" => of::<Role>(object),
        "RoleBinding" => of::<RoleBinding>(object),
        "Secret" => of::<Secret>(object),
        "Service" => of::<Service>(object),
        "ServiceAccount" => of::<ServiceAccount>(object),
        "StatefulSet" => of::<StatefulSet>(object),
        "HTTPRoute" | "OutboxPublisher" | "PodMonitor" | "PrometheusRule" | "ScaledObject" => Ok(()),
        other => Err(format!("{other} is decoded by nobody")),
    }
}

fn is_label(value: &str) -> bool {
    let edge = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    value.is_empty()
        || (value.len() <= 63
            && edge(value.chars().next())
            && edge(value.chars().last())
            && value.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char)))
}

/// A label by RFC 1035, as a Service's name must be.
fn is_service_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|char: char| char.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-')
}

/// Every field with the name of a map of strings must be one, wherever it is.
fn wrong_maps(value: &Value, wrong: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if matches!(name.as_str(), "labels" | "matchLabels" | "annotations" | "nodeSelector") {
                    let entries = inner.as_object().unwrap().iter();
                    let is_right = |value: &Value| {
                        value.as_str().is_some_and(|value| name == "annotations" || is_label(value))
                    };
                    let bad = entries.filter(|(_, value)| !is_right(value));
                    wrong.extend(bad.map(|(key, value)| format!("{name}.{key}: {value}")));
                }
                wrong_maps(inner, wrong);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| wrong_maps(item, wrong)),
        _ => (),
    }
}

fn wrong(objects: &Objects) -> Vec<String> {
    let mut wrong = Vec::new();
    for object in &objects.0 {
        let what = format!("{} {}", kind_of(object), name_of(object));
        wrong.extend(decoded(object).err().map(|error| format!("{what}: {error}")));
        if !is_service_name(name_of(object)) {
            wrong.push(format!("{what}: its name"));
        }
        let mut maps = Vec::new();
        wrong_maps(object, &mut maps);
        wrong.extend(maps.into_iter().map(|map| format!("{what}: {map}")));
    }
    for service in objects.of_kind("Service") {
        let selector = serde_json::json!({ "matchLabels": service["spec"]["selector"] });
        let found = objects.pods().iter().filter(|pod| pod.is_selected_by(&selector)).count();
        if found != 1 {
            wrong.push(format!("Service {} finds {found} pods", name_of(service)));
        }
    }
    wrong
}

#[test]
fn whatever_the_release_is_called_names_and_labels_are_strings_that_the_api_takes() {
    let Some(helm) = Helm::find() else { return };
    for release in RELEASES {
        for (set, arguments) in SETS {
            let objects =
                render(&helm, release, "123", &[arguments, &["--set", "tests.inTemplate=true"]].concat());
            assert_eq!(wrong(&objects), Vec::<String>::new(), "{release}, {set}");
            for object in &objects.0 {
                assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], release);
            }
        }
    }
}

#[test]
fn a_namespace_may_be_called_like_a_number() {
    let Some(helm) = Helm::find() else { return };
    for namespace in ["123", "true", "1e3"] {
        let objects = render(&helm, "shop", namespace, &[]);
        let subjects = &objects.named("RoleBinding", "shop-outbox-controller")["subjects"];
        assert_eq!(subjects[0]["namespace"], namespace);
    }
}

#[test]
fn names_that_services_may_not_have_are_made_into_such_that_they_may() {
    let Some(helm) = Helm::find() else { return };
    let expected = [
        ("shop", "shop-web"),
        ("store", "store-shop-web"),
        ("2024-shop", "shop-2024-shop-web"),
        ("my.shop", "my-shop-web"),
        ("123", "shop-123-shop-web"),
    ];
    for (release, name) in expected {
        render(&helm, release, "shop", &[]).named("Service", name);
    }
}

/// Names in the values that end in a YAML scalar.
#[test]
fn values_that_yaml_reads_as_something_else_stay_strings() {
    let Some(helm) = Helm::find() else { return };
    let values = "
fullnameOverride: 'true'
commonLabels: {a: 'on', b: 123456789, c: true, d: '0x1f', 'on': x, app.kubernetes.io/part-of: '1e3', app.kubernetes.io/version: '1.10'}
serviceDefaults:
  podLabels: {'y': 'null', app.kubernetes.io/part-of: '123'}
  podAnnotations: {n: 5, kubectl.kubernetes.io/default-container: 'on'}
  annotations: {o: true}
  priorityClassName: '123'
  serviceAccount: {name: 'true', annotations: {a: 1}}
services:
  'on': {image: {repository: '12', tag: '30'}, secretEnv: {'NULL': {secret: 'null', key: '123'}}, env: {'ON': 'on', 'NO': '1e3'}}
secrets:
  'null': {keys: {'123': {value: 'x'}, 'true': {value: 'y'}}}
image: {pullSecrets: [{name: '123'}]}
database: {secret: {name: '123', key: 'true'}}
outboxPublishers:
  orders: {appId: '123', database: {schema: 'null'}, broker: {exchange: '123', eventLog: '1e3'}, annotations: {a: 1}}
ingress: {enabled: true, className: '123', annotations: {a: 1}}
monitoring: {podMonitor: {enabled: true}, dashboard: {enabled: true, labels: {grafana_dashboard: 1}}, labels: {release: 12}}
";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml").display().to_string();
    std::fs::write(&file, values).unwrap();
    let objects = render(&helm, "shop", "shop", &["--values", &file]);
    let labels = wrong(&objects);
    assert_eq!(labels, Vec::<String>::new());
    let web = objects.named("Deployment", "true-web");
    assert_eq!(web["metadata"]["labels"]["b"], "123456789");
    assert_eq!(web["metadata"]["labels"]["app.kubernetes.io/part-of"], "1e3");
    let pod = &web["spec"]["template"]["metadata"];
    assert_eq!(pod["labels"]["app.kubernetes.io/part-of"], "123");
    assert_eq!(pod["annotations"]["kubectl.kubernetes.io/default-container"], "on");
    let publisher = &objects.named("OutboxPublisher", "true-orders")["spec"];
    for text in [
        &publisher["appId"],
        &publisher["database"]["schema"],
        &publisher["database"]["secretRef"]["name"],
        &publisher["database"]["secretRef"]["key"],
        &publisher["broker"]["exchange"],
        &publisher["broker"]["eventLog"],
        &objects.named("Ingress", "true")["spec"]["ingressClassName"],
    ] {
        assert!(text.is_string(), "{text}");
    }
    assert_eq!(objects.named("ConfigMap", "true-on")["data"]["NO"], "1e3");
    assert!(objects.named("Secret", "true-null")["data"]["123"].is_string());
    let mounts = &objects.named("Deployment", "true-order")["spec"]["template"]["spec"]["volumes"];
    assert_eq!(list(mounts).next().unwrap()["secret"]["items"][0]["key"], "true");
}

/// The chart's own version, to which a build may add a suffix.
#[test]
fn a_build_of_the_chart_with_a_long_version_has_labels_that_the_api_takes() {
    let Some(helm) = Helm::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let version = "0.1.0-rc.1+build.20261126.0123456789abcdef0123456789abcdef0123456789";
    let mut package = helm.command();
    package.args(["package", ".", "--version", version, "--app-version", version, "--destination"]);
    assert!(package.arg(folder.path()).output().unwrap().status.success());
    let archive = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let archive = archive.display().to_string();
    let output =
        helm.command().args(["template", "shop", &archive, "--set", "image.tag=1"]).output().unwrap();
    let objects = Objects::parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(wrong(&objects), Vec::<String>::new());
}
