//! Commands that need Docker and a cluster cannot be run everywhere; these tests check what they would run.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{path::Path, process::Command};

/// The commands that `cargo xtask` prints, without those of the build's own.
fn commands(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).arg("--dry-run").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

#[test]
fn kind_up_makes_the_cluster_and_installs_what_it_has_built() {
    let commands = commands(&["kind", "test"]);
    let (builds, rest): (Vec<String>, Vec<String>) =
        commands.into_iter().partition(|command| command.contains("docker build"));
    assert_eq!(
        rest,
        [
            "kind create cluster --config k8s/kind.yaml --wait 3m",
            "kind load docker-image --name shop shop/auth:dev shop/catalog:dev shop/order:dev shop/payment:dev shop/notification:dev \
             shop/web:dev shop/telegram:dev shop/outbox-controller:dev",
            "kubectl --context kind-shop --namespace shop apply --filename k8s/namespace.yaml",
            "kubectl --context kind-shop --namespace shop apply --server-side --force-conflicts --filename k8s/crds",
            "helm upgrade shop charts/shop --install --values charts/shop/values-dev.yaml --server-side=true \
             --force-conflicts --take-ownership --wait --timeout 10m \
             --kube-context kind-shop --namespace shop",
            "helm test shop --logs --timeout 5m --kube-context kind-shop --namespace shop",
        ]
    );
    let images: Vec<&str> = builds.iter().map(|build| after(build, "--tag ")).collect();
    assert_eq!(rest[1].split("--name shop ").last().unwrap(), images.join(" "));
}

#[test]
fn kind_names_files_and_a_cluster_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for command in commands(&["kind", "up"]) {
        for word in command.split(' ').filter(|word| word.starts_with("k8s/") || word.starts_with("charts/"))
        {
            assert!(root.join(word).exists(), "{word}");
        }
    }
    let kind = std::fs::read_to_string(root.join("k8s/kind.yaml")).unwrap();
    assert!(kind.lines().any(|line| line == "name: shop"));
    assert_eq!(commands(&["kind", "down"]), ["kind delete cluster --name shop"]);
}

#[test]
fn an_image_that_is_shipped_says_where_it_comes_from() {
    let commands = commands(&["images", "order", "--name", "registry.example.com/order:1"]);
    let [build] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(after(build, "--target "), "order");
    assert_eq!(after(build, "--tag "), "registry.example.com/order:1");
    assert_eq!(after(build, "VERSION="), env!("CARGO_PKG_VERSION"));
    assert!(after(build, "REVISION=").len() >= 40, "{build}");
    assert!(after(build, "CREATED=").ends_with('Z'), "{build}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_development_image_is_compiled_here_and_only_wrapped_by_docker() {
    let commands = commands(&["images", "--dev", "order"]);
    let [compile, build] = commands.as_slice() else { panic!("{commands:?}") };
    assert!(compile.contains("cargo build") && compile.contains("+crt-static"), "{compile}");
    assert_eq!(after(build, "BINARIES="), "host");
    assert!(build.ends_with("/images/order"), "{build}");
}

/// The word that follows.
fn after<'a>(command: &'a str, begin: &str) -> &'a str {
    command.split_once(begin).unwrap_or_else(|| panic!("{command}")).1.split(' ').next().unwrap()
}
