//! Installs, upgrades and removes the chart.

use serde_json::{Value, json};

use crate::release::{Release, changed};

#[tokio::test]
async fn an_upgrade_keeps_what_was_generated_and_rolls_nothing() {
    let Some(release) = Release::none().await else { return };
    let set = ["--set", "admin.email=admin@example.com,devInfra.enabled=true"];
    release.apply("install", &set);
    let (secrets, templates) = (release.secrets().await, release.templates().await);
    let names: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "shop-admin",
            "shop-link",
            "shop-mailpit",
            "shop-postgres",
            "shop-rabbitmq",
            "shop-redis",
            "shop-session",
            "shop-tokens",
            "shop-webhook"
        ]
    );
    release.apply("upgrade", &set);
    assert_eq!(secrets, release.secrets().await);
    assert_eq!(templates, release.templates().await);

    // A given value replaces a generated one, and rolls the pods that use it.
    let given = "admin.email=admin@example.com,devInfra.enabled=true,secrets.session.keys.secret.value=given";
    release.apply("upgrade", &["--set", given]);
    assert_eq!(changed(&secrets, &release.secrets().await), ["shop-session"]);
    assert_eq!(changed(&templates, &release.templates().await), ["shop-web"]);
}

#[tokio::test]
async fn a_changed_password_of_the_development_databases_rolls_what_reads_it() {
    let Some(release) = Release::none().await else { return };
    for old in ["", "first"] {
        let verb = if old.is_empty() { "install" } else { "upgrade" };
        release.apply(verb, &["--set", &format!("devInfra.enabled=true,devInfra.password={old}")]);
        let before = release.templates().await;
        release.apply("upgrade", &["--set", &format!("devInfra.enabled=true,devInfra.password={old}new")]);
        let mut rolled = changed(&before, &release.templates().await);
        rolled.sort_unstable();
        // The controller picks it up by itself.
        assert_eq!(
            rolled,
            [
                "shop-auth",
                "shop-catalog",
                "shop-notification",
                "shop-order",
                "shop-payment",
                "shop-postgres",
                "shop-rabbitmq"
            ]
        );
    }
}

/// Rotates secrets as docs/operations.md describes.
#[tokio::test]
async fn an_upgrade_in_the_middle_of_a_rotation_undoes_none_of_it() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &[]);
    let data = r#"{"data": {"secret": "bmV3", "other-secret": "b2xk"}}"#;
    release.cluster.kubectl(&["patch", "secret", "shop-tokens", "--patch", data]).await;
    release.apply("upgrade", &[]);
    let secrets = release.secrets().await;
    let tokens = secrets.iter().find(|(name, _)| name == "shop-tokens").unwrap();
    assert_eq!(tokens.1, json!({ "secret": "bmV3", "other-secret": "b2xk" }));
}

#[tokio::test]
async fn nothing_is_left_of_what_was_removed() {
    let Some(release) = Release::none().await else { return };
    let all = "configmaps,deployments,ingresses,networkpolicies,outboxpublishers,rolebindings,roles,secrets,\
               serviceaccounts,services,statefulsets";
    let set = ["--set", "devInfra.enabled=true,ingress.enabled=true,secrets.telegram.keys.token.value=1:x"];
    release.apply("install", &set);
    assert!(release.kept(all).await.len() > 40);
    release.run("uninstall", &[]);
    assert_eq!(release.kept(all).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_secret_that_its_keeper_changed_rolls_the_pods_at_the_next_upgrade() {
    let Some(release) = Release::none().await else { return };
    let keep = async |uri: &str| {
        let metadata = json!({ "name": "shop-db-app" });
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": { "uri": uri } });
        release.cluster.apply(&secret.to_string()).await;
    };
    keep("postgres://old").await;
    release.apply("install", &[]);
    let before = release.templates().await;
    release.apply("upgrade", &[]);
    assert_eq!(before, release.templates().await);
    keep("postgres://new").await;
    release.apply("upgrade", &[]);
    // The controller picks it up by itself.
    let rolled = ["shop-auth", "shop-catalog", "shop-notification", "shop-order", "shop-payment"];
    assert_eq!(changed(&before, &release.templates().await), rolled);
}

#[tokio::test]
async fn the_api_server_accepts_every_set_of_values() {
    for values in ["values-dev.yaml", "values-production.yaml", "ci/everything-values.yaml"] {
        let Some(release) = Release::none().await else { return };
        let without = "monitoring.podMonitor.enabled=false,monitoring.prometheusRule.enabled=false,httpRoute.enabled=false,\
                       serviceDefaults.autoscaling.enabled=false";
        release.apply("install", &["--values", values, "--set", without]);
        // `helm test` would create it and wait for its end. The server refuses a priority class that does not exist.
        let mut template = release.helm.command();
        template
            .args([
                "template",
                "shop",
                ".",
                "--values",
                values,
                "--set",
                "serviceDefaults.priorityClassName=,tests.inTemplate=true",
            ])
            .args(["--show-only", "templates/tests/order.yaml"]);
        let pod = String::from_utf8(template.output().unwrap().stdout).unwrap();
        release.cluster.apply(&pod).await;
    }
}
