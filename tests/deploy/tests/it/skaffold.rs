//! The part of skaffold's schema `v4beta13` that skaffold.yaml uses; unknown fields are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{dockerfile, tree};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    api_version: String,
    kind: String,
    #[serde(rename = "metadata")]
    _metadata: BTreeMap<String, String>,
    build: Build,
    deploy: Deploy,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Profile {
    name: String,
    #[serde(default, rename = "activation")]
    _activation: Vec<BTreeMap<String, String>>,
    #[serde(default)]
    build: Build,
    #[serde(default)]
    deploy: Deploy,
    #[serde(default)]
    port_forward: Vec<PortForward>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Build {
    #[serde(rename = "tagPolicy")]
    _tag_policy: Option<TagPolicy>,
    #[serde(rename = "local")]
    _local: Option<Local>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagPolicy {
    #[serde(rename = "inputDigest")]
    _input_digest: Option<Empty>,
    #[serde(rename = "gitCommit")]
    _git_commit: Option<Empty>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Local {
    #[serde(rename = "push")]
    _push: bool,
    #[serde(rename = "useBuildkit")]
    _use_buildkit: bool,
    #[serde(rename = "concurrency")]
    _concurrency: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Artifact {
    image: String,
    docker: Option<Docker>,
    custom: Option<Custom>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Docker {
    target: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Custom {
    build_command: String,
    dependencies: Dependencies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dependencies {
    paths: Vec<String>,
    #[serde(rename = "ignore")]
    _ignore: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deploy {
    #[serde(rename = "statusCheckDeadlineSeconds")]
    _status_check_deadline_seconds: Option<u32>,
    helm: Option<Helm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Helm {
    #[serde(default)]
    flags: BTreeMap<String, Vec<String>>,
    releases: Vec<Release>,
    #[serde(rename = "hooks")]
    _hooks: Option<Hooks>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hooks {
    #[serde(rename = "after")]
    _after: Vec<Hook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hook {
    #[serde(rename = "host")]
    _host: HostHook,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HostHook {
    #[serde(rename = "command")]
    _command: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Release {
    name: String,
    chart_path: String,
    namespace: String,
    #[serde(rename = "createNamespace")]
    _create_namespace: bool,
    values_files: Vec<String>,
    #[serde(rename = "skipBuildDependencies")]
    _skip_build_dependencies: bool,
    #[serde(default)]
    set_values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortForward {
    resource_type: String,
    resource_name: String,
    namespace: String,
    port: u16,
    local_port: u16,
}

fn config() -> Config {
    serde_saphyr::from_str(&tree::read("skaffold.yaml")).unwrap()
}

#[test]
fn it_is_of_the_version_that_is_checked_here_and_has_its_profiles() {
    let config = config();
    assert_eq!((config.api_version.as_str(), config.kind.as_str()), ("skaffold/v4beta13", "Config"));
    let profiles: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(profiles, ["dev", "ci", "prod"]);
}

#[test]
fn every_profile_builds_the_images_that_the_chart_runs() {
    let config = config();
    let mut expected = dockerfile::targets();
    expected.remove("shop");
    for build in [&config.build].into_iter().chain(config.profiles.iter().map(|profile| &profile.build)) {
        if build.artifacts.is_empty() {
            continue;
        }
        let mut targets = BTreeSet::new();
        for Artifact { image, docker, custom } in &build.artifacts {
            let target = image.strip_prefix("shop/").unwrap();
            match (docker, custom) {
                (Some(docker), None) => assert_eq!(docker.target, target),
                (None, Some(custom)) => {
                    let expected = format!("cargo xtask images --dev --name \"$IMAGE\" {target}");
                    assert_eq!(custom.build_command, expected);
                    assert!(custom.dependencies.paths.contains(&format!("services/{target}")), "{target}");
                    for path in &custom.dependencies.paths {
                        tree::assert_exists(path, "skaffold.yaml");
                    }
                }
                _ => panic!("{image} is built in one way"),
            }
            targets.insert(target.to_owned());
        }
        assert_eq!(targets, expected);
    }
}

#[test]
fn every_profile_installs_the_chart() {
    let config = config();
    for deploy in [&config.deploy].into_iter().chain(config.profiles.iter().map(|profile| &profile.deploy)) {
        for release in deploy.helm.iter().flat_map(|helm| &helm.releases) {
            assert_eq!(
                [&release.name, &release.chart_path, &release.namespace],
                ["shop", "charts/shop", "shop"]
            );
            for file in &release.values_files {
                tree::assert_exists(file, "skaffold.yaml");
            }
        }
    }
}

/// Otherwise Helm refuses manual changes, and objects created by Tilt.
#[test]
fn an_upgrade_goes_over_hand_changes() {
    let flags = config().deploy.helm.unwrap().flags;
    assert_eq!(flags["install"], ["--take-ownership"]);
    assert_eq!(flags["upgrade"], ["--server-side=true", "--force-conflicts", "--take-ownership"]);
}

/// Skaffold replaces an image that has the artifact's name and no digest.
#[test]
fn in_production_every_image_can_be_replaced() {
    let config = config();
    let prod = config.profiles.iter().find(|profile| profile.name == "prod").unwrap();
    let [release] = prod.deploy.helm.as_ref().unwrap().releases.as_slice() else { panic!("one release") };
    let cleared: BTreeSet<&str> = release.set_values.keys().map(String::as_str).collect();
    let values = tree::yaml("charts/shop/values.yaml");
    let services =
        tree::keys(&values["services"]).into_iter().map(|name| format!("services.{name}.image.digest"));
    let expected: BTreeSet<String> =
        services.chain(["controller.image.digest", "image.registry"].map(str::to_owned)).collect();
    assert_eq!(cleared, expected.iter().map(String::as_str).collect());
    assert!(release.set_values.values().all(String::is_empty));
}

#[test]
fn ports_lead_to_what_the_chart_makes() {
    let config = config();
    let workloads = tree::workloads();
    let forwards: Vec<&PortForward> =
        config.profiles.iter().flat_map(|profile| &profile.port_forward).collect();
    assert!(!forwards.is_empty());
    for forward in forwards {
        assert!(workloads.contains(&forward.resource_name), "{}", forward.resource_name);
        assert_eq!(forward.namespace, "shop");
        assert!(matches!(forward.resource_type.as_str(), "deployment" | "statefulset"));
        assert!(forward.port > 0 && forward.local_port > 0);
    }
}
