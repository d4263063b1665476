//! `cargo xtask kind`: a Kubernetes cluster on this machine, with the shop installed from its chart's development values.

use std::process::Command;

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers;

use crate::{
    images, shell,
    targets::{self, SERVICES, TAG},
};

/// The cluster's name in `k8s/kind.yaml`, and its name for kubectl and helm.
const CLUSTER: &str = "shop";
const CONTEXT: &str = "kind-shop";
/// The release, which gives its objects their names.
const RELEASE: &str = "shop";
/// The namespace's name in `k8s/namespace.yaml`.
const NAMESPACE: &str = "shop";

/// The tools that the commands need, and where to get them.
const TOOLS: [(&str, &str); 4] = [
    ("docker", "https://docs.docker.com/engine/install/"),
    ("kind", "https://kind.sigs.k8s.io/docs/user/quick-start/#installation"),
    ("kubectl", "https://kubernetes.io/docs/tasks/tools/"),
    ("helm", "https://helm.sh/docs/intro/install/"),
];

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// Print the commands without running them
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Create the cluster if there is none, build and load the images, install or upgrade the shop, and wait for it
    Up(Up),
    /// Do all that `up` does, then place an order through the storefront and wait until its event is published
    Test(Up),
    /// Remove the cluster and everything in it
    Down,
}

#[derive(Args)]
struct Up {
    /// Compile on this machine, incrementally and without optimisation, instead of building the shipped images
    #[arg(long)]
    dev: bool,
}

/// Does what `arguments` say, or prints how.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let steps = Steps { dry_run: arguments.dry_run };
    if !arguments.dry_run {
        require(|tool| servers::on_path(tool).is_some())?;
    }
    match &arguments.task {
        Task::Up(up) => steps.up(up)?,
        Task::Test(up) => {
            steps.up(up)?;
            steps.test()?;
        }
        Task::Down => steps.run("kind", &["delete", "cluster", "--name", CLUSTER])?,
    }
    Ok(())
}

/// Names all missing tools at once.
fn require(is_there: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|(tool, _)| !is_there(tool))
        .map(|(tool, from)| format!("{tool} is not installed: {from}"))
        .collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}

struct Steps {
    dry_run: bool,
}

impl Steps {
    fn up(&self, up: &Up) -> anyhow::Result<()> {
        let is_new = self.dry_run || !is_among(&output("kind", &["get", "clusters"])?, CLUSTER);
        if is_new {
            self.run("kind", &["create", "cluster", "--config", "k8s/kind.yaml", "--wait", "3m"])?;
        }
        let names = targets::names(&SERVICES, TAG, None)?;
        images::build(&names, images::Compiler::of(up.dev), self.dry_run)?;
        let load = ["load", "docker-image", "--name", CLUSTER];
        let load: Vec<&str> = load.into_iter().chain(names.iter().map(|(_, name)| name.as_str())).collect();
        self.run("kind", &load)?;

        self.kubectl(&["apply", "--filename", "k8s/namespace.yaml"])?;
        // Helm installs definitions once, and never upgrades them.
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", "k8s/crds"])?;
        self.helm(&[
            "upgrade",
            RELEASE,
            "charts/shop",
            "--install",
            "--values",
            "charts/shop/values-dev.yaml",
            // Overwrites manual changes, and takes over objects created by Tilt or kubectl.
            "--server-side=true",
            "--force-conflicts",
            "--take-ownership",
            "--wait",
            "--timeout",
            "10m",
        ])?;
        if !is_new {
            // The images keep their tag, so nothing else makes the Deployments use the new ones.
            // By label, because the bot only exists if it has a token.
            let ours = format!("app.kubernetes.io/component in ({})", SERVICES.join(","));
            self.kubectl(&["rollout", "restart", "deployment", "--selector", &ours])?;
            self.kubectl(&["rollout", "status", "deployment", "--selector", &ours, "--timeout", "5m"])?;
        }
        println!(
            "The storefront: http://localhost:8080; the mails: http://localhost:8025; Jaeger: http://localhost:16686"
        );
        Ok(())
    }

    /// The chart's own test places an order and waits until its event is published.
    fn test(&self) -> anyhow::Result<()> {
        self.helm(&["test", RELEASE, "--logs", "--timeout", "5m"])
    }

    fn helm(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let where_to = ["--kube-context", CONTEXT, "--namespace", NAMESPACE];
        self.run("helm", &[arguments, &where_to].concat())
    }

    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let where_to = ["--context", CONTEXT, "--namespace", NAMESPACE];
        self.run("kubectl", &[&where_to, arguments].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        shell::run_or_print(command(program, arguments), self.dry_run)
    }
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    shell::output(command(program, arguments))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(shell::root());
    command
}

/// Whether a line is `name`.
fn is_among(lines: &str, name: &str) -> bool {
    lines.lines().any(|line| line.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_all_at_once_with_where_to_get_it() {
        let complaint = require(|tool| tool == "docker" || tool == "kubectl").unwrap_err().to_string();
        assert_eq!(
            complaint,
            "kind is not installed: https://kind.sigs.k8s.io/docs/user/quick-start/#installation\n\
             helm is not installed: https://helm.sh/docs/intro/install/"
        );
        assert!(require(|_| true).is_ok());
    }

    #[test]
    fn a_cluster_whose_name_only_begins_alike_is_another() {
        assert!(is_among("shop-2\nshop\n", CLUSTER));
        assert!(!is_among("shop-2\n", CLUSTER));
        assert!(!is_among("No kind clusters found.\n", CLUSTER));
    }
}
