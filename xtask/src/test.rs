//! `cargo xtask test`

use std::{env, fs, io::ErrorKind, path::PathBuf, process::Command};

use anyhow::{Context as _, bail};
use clap::Args;
use shop_testing::servers::{self, Durability};

use crate::{backends, python::Tool, shell};

/// From PyPI: sends an API all requests that its description allows, and more.
const SCHEMATHESIS: Tool = Tool { requirement: "schemathesis==4.32.5", module: "schemathesis" };
const SCHEMATHESIS_VARIABLE: &str = "SHOP_TEST_SCHEMATHESIS";

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Arguments for `cargo nextest run` (or `cargo test`): -p auth, a test's name, a filter
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Arguments {
    pub(crate) fn of(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(ToString::to_string).collect() }
    }
}

/// Runs the tests with the backends that they need, and reports which were skipped.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let starting = backends::start(&backends::ALL, Durability::Fast);
    let selection = Selection::of(&arguments.arguments);
    if selection.needs_binaries() {
        // Tests and binaries in one go: separately, their dependencies would get different features and be built twice.
        shell::run(shell::cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    }
    let schemathesis = selection.needs_binaries().then(schemathesis).flatten();
    let backends = starting.wait();
    for missing in &backends.missing {
        eprintln!("missing: {missing}");
    }
    let skips = shell::target().join("skipped-tests.txt");
    remove(&skips)?;
    let prepared = |mut command: Command| {
        command
            .envs(backends.environment.iter().map(|(name, value)| (*name, value)))
            .envs(schemathesis.as_ref().map(|program| (SCHEMATHESIS_VARIABLE, program)))
            .env("SHOP_TEST_SKIPS", &skips)
            .env("SHOP_TEST_BIN_DIR", shell::target().join("debug"));
        command
    };
    let passed = run_tests(&selection, prepared);
    let skipped = read_skips(&skips)?;
    report(&skipped);
    passed?;
    if shell::is_ci() && !skipped.is_empty() {
        bail!("{} tests were skipped, and in CI none may be", skipped.len());
    }
    Ok(())
}

/// The given one, or our own. Without it, the tests that need it report that they are skipped.
fn schemathesis() -> Option<PathBuf> {
    if let Some(named) = env::var_os(SCHEMATHESIS_VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    match SCHEMATHESIS.python() {
        Ok(python) => Some(python.with_file_name("schemathesis")),
        Err(error) => {
            eprintln!("missing: {}: {error:#}", SCHEMATHESIS.requirement);
            None
        }
    }
}

fn run_tests(selection: &Selection, prepared: impl Fn(Command) -> Command) -> anyhow::Result<()> {
    if servers::on_path("cargo-nextest").is_none() {
        let arguments = selection.cargo(&["test", "--locked"]);
        return shell::run(prepared(shell::cargo(&arguments)));
    }
    if selection.is_everything() {
        // nextest runs no doc tests. They come first, so that nextest's summary ends the output.
        shell::run(prepared(shell::cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"])))?;
    }
    let profile = if shell::is_ci() { "ci" } else { "default" };
    let arguments = selection.cargo(&["nextest", "run", "--locked", "--profile", profile]);
    shell::run(prepared(shell::cargo(&arguments)))
}

/// Which tests to run.
struct Selection<'a>(&'a [String]);

impl<'a> Selection<'a> {
    fn of(arguments: &'a [String]) -> Self {
        Self(arguments)
    }

    fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    fn names_packages(&self) -> bool {
        self.0.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
    }

    /// The black-box tests run the services' binaries.
    fn needs_binaries(&self) -> bool {
        !self.names_packages() || self.0.iter().any(|argument| argument.contains("e2e"))
    }

    fn cargo(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let workspace = if self.names_packages() { [].as_slice() } else { &["--workspace"] };
        command.iter().chain(workspace).copied().chain(self.0.iter().map(String::as_str)).collect()
    }
}

fn remove(file: &std::path::Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| file.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Lists each skipped test once, though it may miss several backends.
fn read_skips(file: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let mut skips: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    skips.sort();
    skips.dedup();
    Ok(skips)
}

fn report(skipped: &[String]) {
    if skipped.is_empty() {
        println!("No test was skipped.");
        return;
    }
    println!("{} tests were skipped:", skipped.len());
    for skip in skipped {
        println!("  {}", skip.trim_start_matches("skipped: "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_package_alone_is_tested_and_needs_no_binaries() {
        let arguments = ["-p".to_owned(), "auth".to_owned()];
        let selection = Selection::of(&arguments);
        assert_eq!(selection.cargo(&["test"]), ["test", "-p", "auth"]);
        assert!(!selection.needs_binaries());
    }

    #[test]
    fn without_a_package_the_whole_workspace_is_tested() {
        let arguments = ["a_paused_leader".to_owned()];
        let selection = Selection::of(&arguments);
        assert_eq!(selection.cargo(&["test"]), ["test", "--workspace", "a_paused_leader"]);
        assert!(selection.needs_binaries());
    }
}
