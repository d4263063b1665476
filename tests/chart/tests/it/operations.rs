//! docs/operations.md: every command on the page that needs no pod is run, in order, on a release set up as the page describes.

use std::{fs, process::Command};

use shop_testing::servers;

use crate::{release::Release, support::root};

/// Commands that need pods, a controller of deployments, or a person.
const NOT_HERE: [&str; 6] =
    ["k exec", "k describe pod", "k top", "k port-forward", "k logs", "k rollout status"];

/// The page's commands: its `sh` blocks, and inline code that begins like a command.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let mut commands = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match &mut block {
            Some(lines) if line.trim() == "```" => {
                commands.push(std::mem::take(lines));
                block = None;
            }
            Some(lines) => {
                lines.push_str(line);
                lines.push('\n');
            }
            None if line.trim() == "```sh" => block = Some(String::new()),
            None => {
                let inline = line.split('`').skip(1).step_by(2);
                commands.extend(inline.filter(|words| words.starts_with("k ")).map(ToOwned::to_owned));
            }
        }
    }
    commands
}

#[tokio::test]
async fn every_command_of_the_page_works_in_the_pages_order() {
    let Some(release) = Release::none().await else { return };
    release.apply("install", &["--set", "devInfra.enabled=true"]);
    let kubectl = servers::kubectl().unwrap().display().to_string();
    // The databases' Secret has this name on the page.
    let secret = ["create", "secret", "generic", "shop-db-app", "--from-literal=uri=postgres://a@b/c"];
    release.cluster.kubectl(&secret).await;
    let mut run = 0;
    for command in commands() {
        // Other tests install, upgrade and apply the definition, which belongs to the whole cluster.
        let is_others = ["helm ", "kubectl "].iter().any(|tool| command.starts_with(tool));
        if is_others || NOT_HERE.iter().any(|begin| command.starts_with(begin)) {
            continue;
        }
        let script = command
            .replace("k rollout status", ": ")
            .replace("sleep 3600", ":")
            // Two restarts within a second are refused.
            .replace("k rollout restart deploy/shop-auth", "sleep 1.1; k rollout restart deploy/shop-auth")
            // No pod runs here, so the server only validates it.
            .replace("--rm -it", "--dry-run=server")
            .replace("helm upgrade …", ":")
            .replace("k rollout restart deploy/shop-web", "k get deploy/shop-web");
        let prelude = "set -e\nk() { \"$KUBECTL\" \"$@\"; }\nkubectl() { \"$KUBECTL\" \"$@\"; }\n";
        let output = Command::new("bash")
            .args(["-c", &format!("{prelude}{script}")])
            .env("KUBECTL", &kubectl)
            .env("KUBECONFIG", &release.cluster.kubeconfig)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        run += 1;
        release.apply("upgrade", &["--set", "devInfra.enabled=true"]);
    }
    assert!(run >= 10, "{run} commands");
    // At the end the rotation is complete: only the new secret is left.
    let secrets = release.secrets().await;
    let tokens = &secrets.iter().find(|(name, _)| name == "shop-tokens").unwrap().1;
    assert_eq!(tokens.as_object().unwrap().keys().collect::<Vec<_>>(), ["secret"]);
}
