//! `cargo xtask footprint`, and the budget: what the images weigh, and what they may.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::Args;
use shop_testing::servers::{Durability, Kind};

use crate::{
    backends,
    images::{self, SERVICES, SHOP},
    shell,
};

/// What an image may weigh in all, uncompressed.
const IMAGE_LIMIT: u64 = 30_000_000;

/// What the binary of each image may weigh: what it did when this was last looked at, and a tenth or so. Whoever needs more says here
/// how much, and in the commit what for.
const BUDGETS: [(&str, u64); 7] = [
    ("auth", 30_000_000),
    ("catalog", 30_000_000),
    ("order", 30_000_000),
    ("web", 30_000_000),
    ("telegram", 30_000_000),
    ("outbox-controller", 30_000_000),
    ("shop", 30_000_000),
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// The tag of the images; `cargo xtask images` builds them
    #[arg(long, default_value = images::TAG)]
    tag: String,
    /// How often each service is started
    #[arg(long, default_value = "5")]
    rounds: String,
}

/// Weighs the images, and runs what is in them on real backends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let targets: Vec<&str> = SERVICES.into_iter().chain([SHOP]).collect();
    let names = images::names(&targets, &arguments.tag, None)?;
    hold(&names)?;

    let starting = backends::start(&[Kind::Postgres, Kind::Redis, Kind::RabbitMq], Durability::Fast);
    // It only starts them and looks on, so it need not be fast itself.
    shell::run(shell::cargo(&["build", "--locked", "--package", "bench"]))?;
    let backends = starting.wait();
    if !backends.missing.is_empty() {
        bail!("{}", backends.missing.join("\n"));
    }
    let bench = shell::target().join("debug/bench");
    let mut command = shop_testing::servers::ending_with_us(&bench, "TERM");
    command.args(["footprint", "--rounds", &arguments.rounds]);
    command.envs(backends.environment.iter().map(|(name, value)| (*name, value)));
    command.env("SHOP_TEST_BIN_DIR", unpacked().join("bin"));
    shell::run(command)
}

/// Weighs images, pairs of target and name, prints what they weigh, and leaves their binaries in `target/footprint/bin`.
///
/// # Errors
/// One of them is over its budget, or is not there.
pub(crate) fn hold(names: &[(&str, String)]) -> anyhow::Result<()> {
    println!(
        "| image | binary, MB | the rest, MB | in all, MB | compressed, MB | budget of the binary, MB |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut over = Vec::new();
    for (target, name) in names {
        let weight = Weight::of(target, name)?;
        let budget = BUDGETS.iter().find_map(|(binary, budget)| (binary == target).then_some(*budget));
        let budget = budget.with_context(|| format!("{target} has no budget"))?;
        println!(
            "| {target} | {} | {} | {} | {} | {} |",
            megabytes(weight.binary),
            megabytes(weight.all - weight.binary),
            megabytes(weight.all),
            megabytes(weight.compressed),
            megabytes(budget)
        );
        if let Some(complaint) = weight.complaint(target, budget) {
            over.push(complaint);
        }
    }
    println!();
    if !over.is_empty() {
        bail!("over budget (xtask/src/footprint.rs): {}", over.join("; "));
    }
    Ok(())
}

/// In bytes.
struct Weight {
    binary: u64,
    all: u64,
    compressed: u64,
}

impl Weight {
    /// Weighs the files of an image. What Docker itself says of its size depends on how it keeps images.
    fn of(target: &str, name: &str) -> anyhow::Result<Self> {
        let folder = unpacked().join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let archive = folder.with_extension("tar");
        export(name, &archive)?;
        let mut tar = Command::new("tar");
        tar.arg("--extract")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&folder)
            .arg("--no-same-owner");
        shell::output(tar)?;

        let binary = folder.join("usr/local/bin").join(target);
        let kept = unpacked().join("bin");
        fs::create_dir_all(&kept)?;
        fs::copy(&binary, kept.join(target)).with_context(|| binary.display().to_string())?;
        let weight = Self {
            binary: fs::metadata(&binary)?.len(),
            all: weigh(&folder)?,
            compressed: compressed(&archive)?,
        };
        fs::remove_file(&archive)?;
        Ok(weight)
    }

    fn complaint(&self, target: &str, budget: u64) -> Option<String> {
        if self.binary > budget {
            let (binary, budget) = (megabytes(self.binary), megabytes(budget));
            return Some(format!("the binary of {target} weighs {binary} MB, and may weigh {budget}"));
        }
        (self.all > IMAGE_LIMIT).then(|| {
            format!("{target} weighs {} MB, and may weigh {}", megabytes(self.all), megabytes(IMAGE_LIMIT))
        })
    }
}

fn unpacked() -> std::path::PathBuf {
    shell::target().join("footprint")
}

/// Writes all files of an image to an archive.
fn export(name: &str, archive: &Path) -> anyhow::Result<()> {
    let docker = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments);
        shell::output(docker)
    };
    let container = docker(&["create", name]).context("`cargo xtask images` builds it")?;
    let container = container.trim();
    let exported = docker(&["export", "--output", &archive.to_string_lossy(), container]);
    docker(&["rm", "--volumes", container])?;
    exported.map(drop)
}

/// All regular files of a folder.
fn weigh(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += weigh(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// What a registry keeps and sends, nearly: it compresses each layer by itself.
fn compressed(archive: &Path) -> anyhow::Result<u64> {
    let smaller = archive.with_extension("tar.gz");
    let mut gzip = Command::new("gzip");
    gzip.arg("--stdout").arg(archive).stdout(Stdio::from(File::create(&smaller)?));
    if !gzip.status()?.success() {
        bail!("gzip failed");
    }
    let bytes = fs::metadata(&smaller)?.len();
    fs::remove_file(&smaller)?;
    Ok(bytes)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_a_budget_and_none_is_above_the_limit() {
        for target in SERVICES.into_iter().chain([SHOP]) {
            let budget = BUDGETS.iter().find(|(binary, _)| *binary == target).unwrap().1;
            assert!(budget <= IMAGE_LIMIT, "{target}");
        }
    }

    #[test]
    fn an_image_over_its_budget_is_named() {
        let weight = Weight { binary: 12_340_000, all: 14_000_000, compressed: 6_000_000 };
        assert_eq!(weight.complaint("auth", 13_000_000), None);
        let complaint = weight.complaint("auth", 12_000_000).unwrap();
        assert_eq!(complaint, "the binary of auth weighs 12.3 MB, and may weigh 12.0");
        let heavy = Weight { all: 31_000_000, ..weight };
        assert_eq!(heavy.complaint("auth", 13_000_000).unwrap(), "auth weighs 31.0 MB, and may weigh 30.0");
    }
}
