//! The outbox with less than all its features: what a team compiles that does without the rest.

use anyhow::bail;

use crate::shell;

/// Each feature alone, and none.
const SETS: [&str; 5] = ["", "metrics", "sea-orm", "sqlite", "tracing"];

/// What is compiled only with a feature, and that feature.
const OWN: [(&str, &str); 4] = [
    ("libsqlite3-sys", "sqlite"),
    ("opentelemetry", "tracing"),
    ("prometheus-client", "metrics"),
    ("sea-orm", "sea-orm"),
];

/// Looks at each set in the graph of dependencies, and compiles it.
///
/// It compiles without generating code, and the sets share what they have in common: the tests of behaviour run with all features.
///
/// # Errors
/// A set does not compile, or compiles what belongs to a feature that it does not have.
pub(crate) fn check() -> anyhow::Result<()> {
    for set in SETS {
        let names = compiled(set)?;
        for (name, feature) in OWN {
            let is_there = names.iter().any(|compiled| compiled == name);
            if is_there != (feature == set) {
                let is = if is_there { "is" } else { "is not" };
                bail!(
                    "{name} {is} compiled for shop-outbox with the features {set:?}: it belongs to {feature:?}"
                );
            }
        }
    }
    for set in SETS {
        lint(set, &[])?;
    }
    // A team with sqlx alone, as a whole: its tests need no sea-orm either.
    lint("sqlite", &["--tests"])
}

fn lint(set: &str, targets: &[&str]) -> anyhow::Result<()> {
    let lint = [&arguments("clippy", set)[..], targets, &["--", "-D", "warnings"]].concat();
    shell::run(shell::cargo(&lint))
}

fn arguments<'a>(command: &'a str, set: &'a str) -> [&'a str; 7] {
    [command, "--locked", "--package", "shop-outbox", "--no-default-features", "--features", set]
}

/// The names of the crates that are compiled for the outbox with `set`.
fn compiled(set: &str) -> anyhow::Result<Vec<String>> {
    let tree = [&arguments("tree", set)[..], &["--edges", "normal,build", "--prefix", "none"]].concat();
    let tree = shell::output(shell::cargo(&tree))?;
    Ok(tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}
