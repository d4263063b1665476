//! `cargo xtask chart`: checks charts/shop with a real Helm and Kubernetes' own schemas. tests/chart checks everything else about
//! the chart.

mod readme;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::bail;
use shop_testing::servers;

use crate::{python::Tool, shell, test};

pub(crate) use readme::generated;

/// The files of the sets of values; the chart's own defaults have none.
const SETS: [(&str, Option<&str>); 4] = [
    ("default", None),
    ("dev", Some("values-dev.yaml")),
    ("production", Some("values-production.yaml")),
    ("everything", Some("ci/everything-values.yaml")),
];

/// The oldest and the newest supported version of Kubernetes.
const KUBERNETES: &str = "1.30,1.37";

/// From PyPI: the JSON schemas of these versions, and a validator for YAML.
const VALIDATOR: Tool = Tool { requirement: "kubernetes-validate==1.37.0", module: "kubernetes_validate" };

/// Lints, validates and tests.
pub(crate) fn run() -> anyhow::Result<()> {
    check()?;
    test::run(&test::Arguments::of(&["-p", "chart"]))
}

/// Lints the chart with each set of values, and validates what it renders. Skipped without Helm, except in CI.
pub(crate) fn check() -> anyhow::Result<()> {
    let Some(helm) = helm() else {
        let why = "helm is not on the PATH, and HELM names none";
        if shell::is_ci() {
            bail!("{why}, and in CI nothing may be skipped");
        }
        println!("skipped: {why}");
        return Ok(());
    };
    let rendered = shell::target().join("chart");
    fs::create_dir_all(&rendered)?;
    let mut files = Vec::new();
    for (name, values) in SETS {
        let values: Vec<&str> = values.iter().flat_map(|values| ["--values", values]).collect();
        shell::run(chart_command(
            &helm,
            &[&["lint", "--strict", "--quiet", "."], values.as_slice()].concat(),
        ))?;
        let template = ["template", "shop", ".", "--namespace", "shop"];
        let text = shell::output(chart_command(&helm, &[&template, values.as_slice()].concat()))?;
        let file = rendered.join(format!("{name}.yaml"));
        fs::write(&file, text)?;
        files.push(file);
    }
    let samples = fs::read_dir(shell::root().join("k8s/samples"))?;
    for sample in samples {
        files.push(sample?.path());
    }
    match VALIDATOR.python() {
        Ok(python) => validate(&python, &files),
        // It is downloaded: without it, everything else can still be checked.
        Err(error) => {
            let validator = VALIDATOR.requirement;
            println!("skipped: the schemas of Kubernetes, since {validator} cannot be had: {error:#}");
            Ok(())
        }
    }
}

/// The Helm named by `HELM`, or the one on the path.
fn helm() -> Option<PathBuf> {
    let named = env::var_os("HELM").filter(|helm| !helm.is_empty());
    named.map(PathBuf::from).or_else(|| servers::on_path("helm"))
}

fn chart_command(helm: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(helm);
    command.args(arguments).current_dir(chart());
    command
}

fn chart() -> PathBuf {
    shell::root().join("charts/shop")
}

fn validate(python: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut command = Command::new(python);
    command
        .arg(shell::root().join("xtask/src/chart/validate.py"))
        .arg(KUBERNETES)
        .arg(chart().join("crds/outboxpublishers.outbox.shop.dev.yaml"))
        .args(files);
    shell::run(command)
}
