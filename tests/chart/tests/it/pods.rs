//! What holds for every pod, whatever the values.

use serde_json::{Value, json};

use crate::support::{Helm, Objects, Pod, kind_of, list, name_of};

/// Runs `check` on the pods of each set of values; it returns what is wrong.
fn check_pods(check: impl Fn(&str, &Objects, &Pod<'_>) -> Vec<String>) {
    let Some(helm) = Helm::find() else { return };
    let mut wrong = Vec::new();
    for (set, objects) in helm.sets() {
        for pod in objects.pods() {
            wrong.extend(
                check(set, &objects, &pod).iter().map(|what| format!("{set}: {}: {what}", pod.name())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The requirements of the Pod Security Standards' restricted profile, field by field, and a read-only root file system.
#[test]
fn every_pod_is_restricted() {
    check_pods(|_, _, pod| {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, holds: bool| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
            expect(field, pod.spec[field].is_null());
        }
        let context = &pod.spec["securityContext"];
        expect("pod: runAsNonRoot", context["runAsNonRoot"] == true);
        expect("pod: runAsUser", context["runAsUser"].as_u64().is_some_and(|uid| uid > 0));
        expect("pod: runAsGroup", context["runAsGroup"].as_u64().is_some_and(|gid| gid > 0));
        expect("pod: seccompProfile", context["seccompProfile"] == json!({ "type": "RuntimeDefault" }));
        expect("pod: sysctls", context["sysctls"].is_null());
        for volume in list(&pod.spec["volumes"]) {
            let allowed =
                ["emptyDir", "configMap", "secret", "projected", "downwardAPI", "persistentVolumeClaim"];
            let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
            expect("volume of another kind", kinds.clone().all(|kind| allowed.contains(&kind.as_str())));
        }
        for container in pod.containers() {
            let context = &container["securityContext"];
            expect("allowPrivilegeEscalation", context["allowPrivilegeEscalation"] == false);
            expect("privileged", context["privileged"] == false);
            expect("readOnlyRootFilesystem", context["readOnlyRootFilesystem"] == true);
            expect("runAsNonRoot", context["runAsNonRoot"] == true);
            expect("runAsUser", context["runAsUser"].is_null());
            expect("capabilities", context["capabilities"] == json!({ "drop": ["ALL"] }));
            expect("seccompProfile", context["seccompProfile"] == json!({ "type": "RuntimeDefault" }));
            expect("procMount", context["procMount"].is_null());
            expect("hostPort", list(&container["ports"]).all(|port| port["hostPort"].is_null()));
        }
        wrong
    });
}

#[test]
fn only_the_controller_gets_a_token_of_the_api_server() {
    check_pods(|_, objects, pod| {
        let mounts = pod.spec["automountServiceAccountToken"].as_bool();
        let account = pod.spec["serviceAccountName"].as_str();
        let mut wrong = Vec::new();
        if mounts != Some(pod.component() == "outbox-controller") {
            wrong.push(format!("automountServiceAccountToken: {mounts:?}"));
        }
        // The development backends use the namespace's default account, and mount no token.
        if let Some(name) = account
            && objects.named("ServiceAccount", name)["automountServiceAccountToken"] != false
        {
            wrong.push(format!("ServiceAccount {name}: automountServiceAccountToken"));
        }
        wrong
    });
}

#[test]
fn every_container_has_probes_and_resources() {
    check_pods(|_, _, pod| {
        let mut wrong = Vec::new();
        for container in pod.containers() {
            // The test's pod runs once, and ends.
            let probes = ["startupProbe", "livenessProbe", "readinessProbe"].iter();
            let probes = probes.filter(|_| kind_of(pod.owner) != "Pod");
            wrong
                .extend(probes.filter(|probe| container[**probe].is_null()).map(|probe| (*probe).to_owned()));
            let resources = &container["resources"];
            for (kind, name) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
                if resources[kind][name].is_null() {
                    wrong.push(format!("resources.{kind}.{name}"));
                }
            }
        }
        wrong
    });
}

#[test]
fn a_stopping_pod_has_time_for_all_that_it_does() {
    check_pods(|_, _, pod| {
        let container = pod.containers().next().unwrap();
        let pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or(0);
        let grace = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        // 25 seconds for tasks and 3 for spans, as in crates/runtime.
        let needed = pre_stop + 28;
        if grace < needed { vec![format!("{grace} s of grace, and it may need {needed} s")] } else { vec![] }
    });
}

#[test]
fn every_image_is_pinned_as_the_values_say() {
    check_pods(|set, _, pod| {
        let mut wrong = Vec::new();
        for container in pod.containers() {
            let image = container["image"].as_str().unwrap();
            let (name, digest) =
                image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
            let tag = name.rsplit('/').next().unwrap().split_once(':').map(|(_, tag)| tag);
            let is_digest = digest.is_some_and(|digest| digest.len() == 71 && digest.starts_with("sha256:"));
            if tag == Some("latest") || (tag.is_none() && !is_digest) {
                wrong.push(format!("{image} may be another tomorrow"));
            }
            if set == "production" && !is_digest {
                wrong.push(format!("{image} has no digest"));
            }
            if set == "production" && !image.starts_with("registry.example.com/shop/") {
                wrong.push(format!("{image} is not from the registry"));
            }
        }
        wrong
    });
}

/// Names of variables that hold, or could hold, secrets.
fn is_secret(variable: &str) -> bool {
    let secret = [
        "SECRET",
        "PASSWORD",
        "PASS",
        "TOKEN",
        "_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "RABBITMQ_URL",
        "MAIL_URL",
    ];
    secret.iter().any(|end| variable.ends_with(end))
}

#[test]
fn no_secret_is_in_a_plain_variable() {
    check_pods(|_, objects, pod| {
        let mut wrong = Vec::new();
        for container in pod.containers() {
            let plain = list(&container["env"]).filter(|variable| !variable["value"].is_null());
            let plain = plain.map(|variable| variable["name"].as_str().unwrap().to_owned());
            let maps = list(&container["envFrom"]).map(|from| from["configMapRef"]["name"].as_str().unwrap());
            let mapped =
                maps.flat_map(|map| objects.named("ConfigMap", map)["data"].as_object().unwrap().keys());
            wrong.extend(plain.chain(mapped.cloned()).filter(|variable| is_secret(variable)));
        }
        wrong
    });
}

/// The Secrets that must already exist, for each set of values: those that NOTES.txt and docs/operations.md name.
fn external(set: &str) -> &'static [&'static str] {
    match set {
        "dev" => &[],
        // Without access to the cluster none is generated: shop-admin, and by default those for tokens and sessions.
        "everything" => &[
            "collector",
            "extra",
            "orders-db-app",
            "own-mail",
            "pull",
            "shop-admin",
            "stripe",
            "stripe-webhook",
            "token-keys",
        ],
        "production" => &[
            "registry",
            "shop-db-app",
            "shop-link-key",
            "shop-mail",
            "shop-rabbitmq-default-user",
            "shop-redis",
            "shop-session-key",
            "shop-stripe",
            "shop-stripe-webhook",
            "shop-telegram-bot",
            "shop-token-keys",
        ],
        _ => &[
            "shop-db-app",
            "shop-link",
            "shop-mail",
            "shop-rabbitmq-default-user",
            "shop-redis",
            "shop-session",
            "shop-tokens",
            "shop-webhook",
        ],
    }
}

#[test]
fn every_secret_that_a_pod_names_is_rendered_or_known_to_be_external() {
    check_pods(|set, objects, pod| {
        let variables = pod.containers().flat_map(|container| list(&container["env"]));
        let from = variables
            .map(|variable| &variable["valueFrom"]["secretKeyRef"])
            .filter(|from| !from.is_null() && from["optional"] != true);
        let from = from.map(|from| (&from["name"], from["key"].as_str()));
        let pulls = list(&pod.spec["imagePullSecrets"]).map(|pull| (&pull["name"], None));
        let volumes = list(&pod.spec["volumes"]).map(|volume| &volume["secret"]);
        let mounts = volumes.filter(|secret| !secret.is_null());
        let mounts = mounts.map(|secret| (&secret["secretName"], secret["items"][0]["key"].as_str()));
        from.chain(pulls)
            .chain(mounts)
            .filter_map(|(name, key)| {
                let name = name.as_str().unwrap();
                let rendered = objects.of_kind("Secret").find(|secret| name_of(secret) == name);
                let has_key = |secret: &Value| key.is_none_or(|key| secret["data"][key].is_string());
                let known = rendered.map_or_else(|| external(set).contains(&name), has_key);
                (!known).then(|| format!("Secret {name}, key {key:?}"))
            })
            .collect()
    });
}

/// On dual-stack and on single-stack clusters.
#[test]
fn everything_listens_on_every_address() {
    check_pods(|_, objects, pod| {
        let variables = pod.containers().flat_map(|container| list(&container["env"]));
        let own =
            variables.filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)));
        let maps = pod.containers().flat_map(|container| list(&container["envFrom"]));
        let maps =
            maps.map(|from| objects.named("ConfigMap", from["configMapRef"]["name"].as_str().unwrap()));
        let mapped = maps.flat_map(|map| map["data"].as_object().unwrap());
        let mapped = mapped.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        own.chain(mapped)
            .filter(|(name, value)| name.contains("LISTEN") && !value.starts_with("[::]"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    });
}

/// Deployments of other people's images.
const OTHERS: [&str; 2] = ["jaeger", "mailpit"];

/// Probes and metrics have their own port that no Service exposes: probes wait behind no request, and nothing exposed has metrics.
#[test]
fn probes_have_a_port_that_no_service_has() {
    check_pods(|_, objects, pod| {
        let is_ours = kind_of(pod.owner) == "Deployment" && !OTHERS.contains(&pod.component());
        if !is_ours {
            return vec![];
        }
        let mut wrong = Vec::new();
        let container = pod.containers().next().unwrap();
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            if container[probe]["httpGet"]["port"] != "probes" {
                wrong.push(format!("{probe}: {}", container[probe]));
            }
        }
        let open = list(&container["ports"]).find(|port| port["name"] == "probes").unwrap();
        let service = objects.of_kind("Service").find(|service| name_of(service) == pod.name());
        for port in service.iter().flat_map(|service| list(&service["spec"]["ports"])) {
            if port["targetPort"] == "probes" || port["targetPort"] == open["containerPort"] {
                wrong.push(format!("Service: {port}"));
            }
        }
        wrong
    });
}

/// Variables are read once. A database URL, whose password is rotated, is in a file instead, and not mounted by subPath, which is never updated.
#[test]
fn the_urls_of_databases_are_files() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&["--values", "values-production.yaml"]);
    for (name, variable) in [
        ("shop-auth", "AUTH_DATABASE_URL_FILE"),
        ("shop-catalog", "CATALOG_DATABASE_URL_FILE"),
        ("shop-order", "ORDER_DATABASE_URL_FILE"),
        ("shop-payment", "PAYMENT_DATABASE_URL_FILE"),
        ("shop-notification", "NOTIFICATION_DATABASE_URL_FILE"),
    ] {
        let spec = &objects.named("Deployment", name)["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let file = list(&container["env"]).find(|env| env["name"] == variable).unwrap()["value"].as_str();
        let (folder, file) = file.unwrap().rsplit_once('/').unwrap();
        let mount = list(&container["volumeMounts"]).find(|mount| mount["mountPath"] == folder).unwrap();
        assert_eq!(mount["readOnly"], true);
        assert!(mount["subPath"].is_null());
        let volume = list(&spec["volumes"]).find(|volume| volume["name"] == mount["name"]).unwrap();
        let items = json!([{ "key": "uri", "path": file }]);
        assert_eq!(volume["secret"], json!({ "secretName": "shop-db-app", "items": items }));
        let plain = variable.strip_suffix("_FILE").unwrap();
        assert!(list(&container["env"]).all(|env| env["name"] != plain), "{name}");
    }
}

/// Upgrades under load lose no request: a new pod is known before an old one stops, and a single slow probe does not take all pods out.
#[test]
fn an_upgrade_takes_no_pod_before_another_is_known() {
    let Some(helm) = Helm::find() else { return };
    for objects in [helm.render(&[]), helm.render(&["--values", "values-production.yaml"])] {
        for name in
            ["shop-auth", "shop-catalog", "shop-order", "shop-payment", "shop-notification", "shop-web"]
        {
            let deployment = &objects.named("Deployment", name)["spec"];
            assert_eq!(
                deployment["strategy"]["rollingUpdate"],
                json!({ "maxSurge": 1, "maxUnavailable": 0 })
            );
            assert!(deployment["minReadySeconds"].as_u64() >= Some(5), "{name}");
            let container = &deployment["template"]["spec"]["containers"][0];
            assert!(container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64() >= Some(5), "{name}");
            assert!(container["readinessProbe"]["failureThreshold"].as_u64() >= Some(3), "{name}");
        }
    }
}

#[test]
fn many_replicas_keep_apart_where_they_can() {
    check_pods(|_, _, pod| {
        if kind_of(pod.owner) != "Deployment" || OTHERS.contains(&pod.component()) {
            return vec![];
        }
        let constraints: Vec<_> = list(&pod.spec["topologySpreadConstraints"]).collect();
        let apart = |key| constraints.iter().any(|constraint| constraint["topologyKey"] == key);
        let right = apart("kubernetes.io/hostname")
            && apart("topology.kubernetes.io/zone")
            && constraints.iter().all(|constraint| pod.is_selected_by(&constraint["labelSelector"]));
        if right { vec![] } else { vec!["topologySpreadConstraints".to_owned()] }
    });
}
