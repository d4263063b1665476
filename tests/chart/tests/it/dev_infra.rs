//! The backends of `devInfra`, as far as they can be tested without containers: the scripts that their pods run, on real servers.

use std::process::{Command, Output};

use serde_json::Value;
use shop_testing::{private_postgres, servers::Durability};

use crate::support::{Helm, Pod, list};

/// The command that the backend's container runs after it has started.
fn post_start(helm: &Helm, component: &str) -> String {
    let objects = helm.render(&["--values", "values-dev.yaml"]);
    let pods = objects.pods();
    let pod = pods.iter().find(|pod| pod.component() == component).unwrap();
    let container = pod.containers().next().unwrap();
    let command: Vec<&Value> = list(&container["lifecycle"]["postStart"]["exec"]["command"]).collect();
    assert_eq!(command[..2], ["sh", "-c"]);
    command[2].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_postgres_whose_data_is_kept_takes_the_password_of_its_secret() {
    let Some(helm) = Helm::find() else { return };
    let Some(postgres) = private_postgres(Durability::Fast).await else { return };
    let script = post_start(&helm, "postgres");
    let (_, address) = postgres.url.split_once('@').unwrap();
    let port = address.split_once(':').unwrap().1.split('/').next().unwrap();
    let run = |program: &str, arguments: &[&str], password: &str| -> Output {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", port)
            .env("POSTGRES_USER", "shop")
            .env("POSTGRES_PASSWORD", password)
            .env("PGPASSWORD", password);
        command.output().unwrap()
    };
    let ask = |query: &str, password: &str| {
        run("psql", &["--no-psqlrc", "-At", "-U", "shop", "-d", "postgres", "-c", query], password)
    };
    for password in ["first", "second ' \\ \" $x"] {
        let output = run("sh", &["-c", &script], password);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // Until here it trusted everybody, as the image does on its socket.
    let file = ask("SHOW hba_file", "").stdout;
    let file = String::from_utf8(file).unwrap();
    std::fs::write(file.trim(), "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    assert!(ask("SELECT pg_reload_conf()", "").status.success());
    let mut refused = ask("SELECT 1", "first").status;
    for _ in 0..50 {
        if !refused.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        refused = ask("SELECT 1", "first").status;
    }
    assert!(!refused.success(), "the old password is still good");
    let output = ask("SELECT 1", "second ' \\ \" $x");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The script retries until the server is there, and gives up eventually.
#[test]
fn the_scripts_of_the_backends_are_scripts() {
    let Some(helm) = Helm::find() else { return };
    for component in ["postgres", "rabbitmq"] {
        let script = post_start(&helm, component);
        let output = Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{component}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Your own consumer, as named in the values.
#[test]
fn others_may_connect_when_the_values_name_them() {
    let Some(helm) = Helm::find() else { return };
    let peers = "devInfra.enabled=true,devInfra.rabbitmq.peers[0].podSelector.matchLabels.app=mine";
    let objects = helm.render(&["--set", peers]);
    let rules = &objects.named("NetworkPolicy", "shop-rabbitmq")["spec"]["ingress"];
    let mine =
        list(rules).find(|rule| rule["from"][0]["podSelector"]["matchLabels"]["app"] == "mine").unwrap();
    assert_eq!(mine["ports"][0]["port"], 5672);
    let none = helm.render(&["--set", "devInfra.enabled=true"]);
    assert_eq!(list(&none.named("NetworkPolicy", "shop-rabbitmq")["spec"]["ingress"]).count(), 1);
}

/// The platform chooses the user: no id of the chart's is left, not even an image's own.
#[test]
fn a_platform_that_chooses_the_users_is_given_none() {
    let Some(helm) = Helm::find() else { return };
    let set = "devInfra.enabled=true,podSecurity.runAsUser=null,tests.inTemplate=true";
    let objects = helm.render(&["--set", set]);
    let context = |pod: &Pod<'_>| pod.spec["securityContext"].clone();
    for pod in objects.pods() {
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(context(&pod)[field].is_null(), "{}: {field}", pod.name());
        }
        assert_eq!(context(&pod)["runAsNonRoot"], true, "{}", pod.name());
    }
    let objects = helm.render(&["--set", "podSecurity.runAsUser=1000"]);
    assert!(objects.pods().iter().all(|pod| context(pod)["runAsUser"] == 1000));
}
