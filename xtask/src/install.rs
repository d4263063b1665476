//! Packages from Debian or Ubuntu.

use std::process::Command;

use anyhow::bail;
use shop_testing::servers;

use crate::shell;

/// Installs packages as root. Debian starts a server as soon as it is installed, unless `policy-rc.d` forbids it (see
/// invoke-rc.d(8)); ours replaces an existing one, and restores it however the installation ends.
const SCRIPT: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
kept=$(mktemp -d)
restore() {
    rm -f "$policy"
    if [ -e "$kept/policy-rc.d" ] || [ -L "$kept/policy-rc.d" ]; then mv "$kept/policy-rc.d" "$policy"; fi
    rmdir "$kept"
}
trap restore EXIT
trap 'exit 130' HUP INT TERM
if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$kept/policy-rc.d"; fi
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends "$@"
"#;

/// Installs `packages` on Debian or Ubuntu, if we are root or can become root without a password.
///
/// # Errors
/// This is another system, we cannot become root, or apt-get fails.
pub(crate) fn packages(packages: &[&str]) -> anyhow::Result<()> {
    if servers::on_path("apt-get").is_none() {
        bail!("there is no apt-get here");
    }
    let Some(become_root) = become_root() else {
        bail!("that needs root, or sudo without a password");
    };
    println!("installing {}", packages.join(", "));
    let words = [become_root, &["sh", "-c", SCRIPT, "install"], packages].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    // Not `shell::run`, which would print the script.
    if !command.status()?.success() {
        bail!("apt-get failed");
    }
    Ok(())
}

/// The prefix for a command that must run as root.
fn become_root() -> Option<&'static [&'static str]> {
    let answers = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        shell::output(command).ok()
    };
    if answers("id", &["-u"]).is_some_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    answers("sudo", &["--non-interactive", "true"]).map(|_| ["sudo", "--non-interactive"].as_slice())
}
