//! Snapshots of everything that is rendered, for reviews.

use crate::support::{Helm, Objects, SETS, name_of};

/// Without embedded files, which are reviewed themselves.
fn shortened(text: &str) -> String {
    let documents = text.split("\n---\n").map(|document| {
        let (head, body) = document.split_once("\ndata:\n").unwrap_or_default();
        if document.contains("\nkind: PrometheusRule\n") {
            let (head, _) = document.split_once("\nspec:\n").unwrap();
            format!("{head}\nspec: (files/alerts.yaml)")
        } else if body.starts_with("  shop.json:") {
            format!("{head}\ndata: (files/dashboard.json)")
        } else {
            document.to_owned()
        }
    });
    documents.collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn manifests_are_as_they_were_reviewed() {
    let Some(helm) = Helm::find() else { return };
    for (name, arguments) in &SETS[..3] {
        let text = helm.text(arguments).unwrap();
        insta::assert_snapshot!(*name, shortened(&text));
    }
}

/// Tilt renders at each change, Argo CD at each sync, and neither has access to the cluster: a secret that changed every time would sign everybody
/// out, and roll every pod.
#[test]
fn without_a_cluster_everything_renders_the_same_twice() {
    let Some(helm) = Helm::find() else { return };
    for arguments in
        SETS.map(|(_, arguments)| arguments).into_iter().chain([&["--set", "devInfra.enabled=true"][..]])
    {
        let render = || helm.text(arguments).unwrap();
        assert_eq!(render(), render());
    }
}

#[test]
fn without_a_cluster_no_secret_is_generated_and_it_says_what_to_do() {
    let Some(helm) = Helm::find() else { return };
    let text = helm.text(&["--set", "devInfra.enabled=true,admin.email=a@example.com"]).unwrap();
    for line in [
        "# Secret shop-tokens is not here: this rendering sees no cluster, so it would generate a different secret each time.",
        "# Create it and name it in secrets.tokens.existingSecret, or set the values in secrets.tokens.keys.",
        "# Secret shop-session is not here:",
        "# Secret shop-admin is not here:",
        "# Secret shop-link is not here:",
        "# Secret shop-webhook is not here:",
        "# Secret shop-postgres is not here: this rendering sees no cluster, so it would generate a different password each time. Set devInfra.password.",
        "# Secret shop-rabbitmq is not here:",
    ] {
        assert!(text.contains(line), "{line}");
    }
    let secrets: Vec<String> =
        Objects::parse(&text).of_kind("Secret").map(|one| name_of(one).to_owned()).collect();
    assert_eq!(secrets, ["shop-redis", "shop-mailpit"]);
}

/// Applying the output of `helm template` must not place an order.
#[test]
fn without_a_cluster_no_test_runs() {
    let Some(helm) = Helm::find() else { return };
    for (_, arguments) in &SETS[..3] {
        let output = helm.command().args(["template", "shop", "."]).args(*arguments).output().unwrap();
        let objects = Objects::parse(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(objects.of_kind("Pod").count(), 0);
        assert!(objects.0.iter().all(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null()));
    }
}

#[test]
fn notes_tell_what_to_do_next() {
    let Some(helm) = Helm::find() else { return };
    for (name, arguments) in &SETS[..3] {
        let install = ["install", "shop", ".", "--namespace", "shop", "--dry-run=client"];
        let output = helm.command().args(install).args(*arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, notes) = text.split_once("\nNOTES:\n").unwrap();
        insta::assert_snapshot!(format!("notes-{name}"), notes.trim_end());
    }
}
