//! Dependencies against deny.toml: licenses, bans, sources, advisories.

use std::process::Command;

use shop_testing::servers;

use crate::shell;

/// Pinned, so that a new release of the tool does not fail an unrelated change.
const VERSION: &str = "0.20.2";

pub(crate) fn run() -> anyhow::Result<()> {
    let program = match servers::on_path("cargo-deny") {
        Some(program) => program,
        None => install()?,
    };
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--workspace", "--all-features", "--locked"])
            .args(arguments)
            .current_dir(shell::root());
        command
    };
    shell::run(deny(&["check", "bans", "licenses", "sources"]))?;
    // Only the database is downloaded: without it, everything else can still be checked.
    match shell::output(deny(&["fetch", "db"])) {
        Ok(_) => shell::run(deny(&["--offline", "check", "advisories"])),
        Err(error) => {
            println!("advisories: skipped, their database cannot be fetched: {error:#}");
            Ok(())
        }
    }
}

fn install() -> anyhow::Result<std::path::PathBuf> {
    let tools = shell::target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        let root = tools.to_string_lossy().into_owned();
        shell::run(shell::cargo(&[
            "install",
            "--locked",
            "--root",
            &root,
            &format!("cargo-deny@{VERSION}"),
        ]))?;
    }
    Ok(program)
}
