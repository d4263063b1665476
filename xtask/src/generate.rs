//! `cargo xtask generate`: files that are generated from the code and committed, so that reviews see them change.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{chart, shell};

/// The services with an HTTP API; each binary prints its OpenAPI document.
const WITH_API: [&str; 5] = ["auth", "catalog", "order", "payment", "notification"];

/// The definition of the controller's objects, for kubectl and for Helm.
const WITH_CRD: [&str; 2] = ["k8s/crds", "charts/shop/crds"];
const CRD: &str = "outboxpublishers.outbox.shop.dev.yaml";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write nothing, and fail if a file is out of date
    #[arg(long)]
    pub(crate) check: bool,
}

/// Writes or checks every generated file.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // The same build as for the tests, so that nothing is built twice.
    shell::run(shell::cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    let mut stale = Vec::new();
    for (file, content) in generated()? {
        if fs::read_to_string(&file).ok().as_deref() == Some(&content) {
            continue;
        }
        if !arguments.check {
            write(&file, &content)?;
        }
        stale.push(file.strip_prefix(shell::root()).unwrap_or(&file).display().to_string());
    }
    match (stale.is_empty(), arguments.check) {
        (true, _) => println!("all generated files are up to date"),
        (false, false) => println!("written: {}", stale.join(", ")),
        (false, true) => bail!("out of date, `cargo xtask generate` writes them: {}", stale.join(", ")),
    }
    Ok(())
}

fn generated() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let events = events()?;
    let apis = WITH_API.into_iter().map(|service| Ok((openapi_file(service), print(service, "openapi")?)));
    let definition = print("outbox-controller", "crd")?;
    let definitions = WITH_CRD.map(|folder| Ok((shell::root().join(folder).join(CRD), definition.clone())));
    apis.chain(definitions).chain(events).chain([chart::generated()]).collect()
}

/// The files of docs/events, as an example of `shop-core` makes them from the types of the events.
fn events() -> anyhow::Result<Vec<anyhow::Result<(PathBuf, String)>>> {
    let contracts = |arguments: &[&str]| {
        let mut example = Command::new(shell::target().join("debug/examples/contracts"));
        example.args(arguments);
        shell::output(example)
    };
    let folder = shell::root().join("docs/events");
    let names = contracts(&[])?;
    Ok(names.lines().map(|name| Ok((folder.join(name), contracts(&[name])?))).collect())
}

fn openapi_file(service: &str) -> PathBuf {
    shell::root().join("docs/openapi").join(format!("{service}.json"))
}

/// The output of a service's binary for this command.
fn print(service: &str, command: &str) -> anyhow::Result<String> {
    let mut binary = Command::new(shell::target().join("debug").join(service));
    binary.arg(command);
    shell::output(binary)
}

fn write(file: &Path, content: &str) -> anyhow::Result<()> {
    let folder = file.parent().context("a generated file has a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(file, content).with_context(|| file.display().to_string())
}
