//! `cargo xtask ci`

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};

use crate::{chart, circles, deny, features, footprint, generate, shell, test};

type Step = (&'static str, fn() -> anyhow::Result<()>);

/// The steps; those that fail quickly come first.
const STEPS: [Step; 10] = [
    ("format", format),
    ("snapshots", snapshots),
    ("circles", circles::run),
    ("dependencies", deny::run),
    ("chart", chart::check),
    ("lints", lints),
    ("features", features::check),
    ("generated files", || generate::run(&generate::Arguments { check: true })),
    ("footprint", footprint::hold_debug),
    ("tests", || test::run(&test::Arguments::default())),
];

/// Runs everything that a change must pass, up to the first step that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    for (name, step) in STEPS {
        println!("== {name}");
        let started = Instant::now();
        step().with_context(|| name.to_owned())?;
        println!("== {name}: passed in {:.1} s\n", started.elapsed().as_secs_f32());
    }
    Ok(())
}

fn format() -> anyhow::Result<()> {
    shell::run(shell::cargo(&["fmt", "--all", "--", "--check"]))
}

fn lints() -> anyhow::Result<()> {
    shell::run(shell::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

/// A snapshot that nobody has reviewed is not a test.
fn snapshots() -> anyhow::Result<()> {
    let loose = loose_snapshots(&shell::root())?;
    if !loose.is_empty() {
        let names: Vec<String> = loose.iter().map(|file| file.display().to_string()).collect();
        bail!("loose snapshots, `cargo insta review` accepts or rejects them: {}", names.join(", "));
    }
    Ok(())
}

fn loose_snapshots(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut loose = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".snap.new") || name.ends_with(".pending-snap") {
            loose.push(path);
        } else if path.is_dir() && !path.is_symlink() && name != "target" && name != ".git" {
            loose.extend(loose_snapshots(&path)?);
        }
    }
    Ok(loose)
}
