//! All that is rendered, to be seen in a review.

use crate::support::{Helm, SETS};

/// Without what is another each time, and without whole files, which are reviewed by themselves.
fn shortened(text: &str, generated: bool) -> String {
    let documents = text.split("\n---\n").map(|document| {
        let (head, body) = document.split_once("\ndata:\n").unwrap_or_default();
        if document.contains("\nkind: PrometheusRule\n") {
            let (head, _) = document.split_once("\nspec:\n").unwrap();
            format!("{head}\nspec: (files/alerts.yaml)")
        } else if body.starts_with("  shop.json:") {
            format!("{head}\ndata: (files/dashboard.json)")
        } else if generated && document.contains("\nkind: Secret\n") {
            let keys = body.lines().map(|line| line.split_once(": ").map_or(line, |(key, _)| key));
            let lines: Vec<_> = keys.map(|key| format!("{key}: (generated)")).collect();
            format!("{head}\ndata:\n{}", lines.join("\n"))
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
        insta::assert_snapshot!(*name, shortened(&text, *name == "default"));
    }
}

/// Tilt renders at each change, and finds no Secret in a cluster: what is another each time would roll every pod.
#[test]
fn development_values_render_the_same_twice() {
    let Some(helm) = Helm::find() else { return };
    let render = || helm.text(&["--values", "values-dev.yaml"]).unwrap();
    assert_eq!(render(), render());
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
