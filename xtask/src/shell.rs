//! Running commands, and where things are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use shop_testing::servers;

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Whether this runs in CI, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
}

/// Cargo, in the repository; it is killed when we are.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = servers::ending_with_us(Path::new(&cargo), "TERM");
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command and shows its output.
///
/// # Errors
/// It cannot be started, or does not exit with 0.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    let line = line(&command);
    println!("$ {line}");
    let status = servers::spawn(command).and_then(|mut child| child.wait()).with_context(|| line.clone())?;
    if !status.success() {
        bail!("`{line}`: {status}");
    }
    Ok(())
}

/// Runs a command as [`run`] does, or prints what it would run, including its environment.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_or_print(command: Command, dry_run: bool) -> anyhow::Result<()> {
    if !dry_run {
        return run(command);
    }
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let environment: String = set
        .map(|(name, value)| format!("{}='{}' ", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    println!("$ {environment}{}", line(&command));
    Ok(())
}

/// Runs a command and returns its standard output.
///
/// # Errors
/// It cannot be started, or does not exit with 0; the error includes its standard error.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let line = line(&command);
    let output = command.output().with_context(|| line.clone())?;
    if !output.status.success() {
        bail!("`{line}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command as one would type it, without the wrapper that ties its life to ours.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let wrapper = words.iter().take(4).position(|word| word == "--");
    let mut words = words[wrapper.map_or(0, |end| end + 1)..].to_vec();
    if let Some(name) = words.first().and_then(|program| Path::new(program).file_name()) {
        words[0] = name.to_string_lossy().into_owned();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        assert!(line(&cargo(&["fmt", "--all", "--", "--check"])).ends_with("fmt --all -- --check"));
        assert!(line(&cargo(&["test"])).starts_with("cargo"));
    }
}
