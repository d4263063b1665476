//! `cargo xtask footprint`, and the size budgets of the images.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::Args;
use shop_testing::servers::{Durability, Kind};

use crate::{
    backends, shell,
    targets::{self, BUDGETS, Budget, SERVICES, SHOP},
};

/// The limit for an image in total, uncompressed.
const IMAGE_LIMIT: u64 = 30_000_000;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The tag of the images; `cargo xtask images` builds them
    #[arg(long, default_value = targets::TAG)]
    tag: String,
    /// How often to start each service
    #[arg(long, default_value = "5")]
    rounds: String,
}

/// Measures the images, and runs their binaries on real backends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let targets: Vec<&str> = SERVICES.into_iter().chain([SHOP]).collect();
    let names = targets::names(&targets, &arguments.tag, None)?;
    hold(&names)?;

    let starting = backends::start(&[Kind::Postgres, Kind::Redis, Kind::RabbitMq], Durability::Fast);
    // It only starts them and observes, so it need not be fast itself.
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

/// Measures images, given as pairs of target and name, prints their sizes, and leaves their binaries in `target/footprint/bin`.
///
/// # Errors
/// An image is over its budget, or does not exist.
pub(crate) fn hold(names: &[(&str, String)]) -> anyhow::Result<()> {
    println!(
        "| image | binary, MB | the rest, MB | in all, MB | compressed, MB | budget of the binary, MB |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut over = Vec::new();
    for (target, name) in names {
        let weight = Weight::of(target, name)?;
        let budget = bytes(Budget::of(target)?.shipped);
        println!(
            "| {target} | {} | {} | {} | {} | {} |",
            megabytes(weight.binary),
            megabytes(weight.all - weight.binary),
            megabytes(weight.all),
            megabytes(weight.compressed),
            megabytes(budget)
        );
        // On other architectures, only the whole image's limit applies.
        let held = if is_budgeted() { budget } else { IMAGE_LIMIT };
        if let Some(complaint) = weight.complaint(target, held) {
            over.push(complaint);
        }
    }
    println!();
    if !over.is_empty() {
        bail!("over budget (xtask/src/footprint.rs): {}", over.join("; "));
    }
    Ok(())
}

/// Checks the binaries that the tests run against their budget; they must have been built, all of them in one go.
///
/// # Errors
/// A binary is over its budget.
pub(crate) fn hold_debug() -> anyhow::Result<()> {
    if !is_budgeted() {
        println!("skipped: the budgets are for x86-64");
        return Ok(());
    }
    let mut over = Vec::new();
    for Budget { target, debug, .. } in &BUDGETS {
        let file = shell::target().join("debug").join(target);
        let code = fs::read(&file).with_context(|| file.display().to_string())?;
        let code = loaded(&code).with_context(|| format!("{} is no binary of 64 bits", file.display()))?;
        println!("{target}: {} of {debug:.1} MB", megabytes(code));
        if code > bytes(*debug) {
            over.push(format!("{target} has {} MB of code, and may have {debug:.1}", megabytes(code)));
        }
    }
    if !over.is_empty() {
        bail!("over budget (xtask/src/footprint.rs): {}", over.join("; "));
    }
    Ok(())
}

/// Whether the budgets apply to this machine's architecture.
fn is_budgeted() -> bool {
    std::env::consts::ARCH == "x86_64"
}

/// The bytes of an ELF file that are loaded to run it: its sections with the flag `SHF_ALLOC` that take up space in the file.
fn loaded(elf: &[u8]) -> Option<u64> {
    const NOBITS: u64 = 8;
    const ALLOC: u64 = 2;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (headers, size, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
    let mut bytes = 0;
    for index in 0..count {
        let at = usize::try_from(headers + index * size).ok()?;
        let (kind, flags, length) = (number(at + 4, 4)?, number(at + 8, 8)?, number(at + 0x20, 8)?);
        if flags & ALLOC != 0 && kind != NOBITS {
            bytes += length;
        }
    }
    Some(bytes)
}

impl Budget {
    fn of(target: &str) -> anyhow::Result<&'static Self> {
        BUDGETS
            .iter()
            .find(|budget| budget.target == target)
            .with_context(|| format!("{target} has no budget"))
    }
}

/// In bytes.
struct Weight {
    binary: u64,
    all: u64,
    compressed: u64,
}

impl Weight {
    /// Measures the files of an image. The size that Docker reports depends on how it stores images.
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

/// Roughly what a registry stores and sends; it compresses each layer by itself.
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

fn bytes(megabytes: f64) -> u64 {
    (megabytes * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_a_budget_and_none_is_above_the_limit() {
        for target in SERVICES.into_iter().chain([SHOP]) {
            assert!(bytes(Budget::of(target).unwrap().shipped) < IMAGE_LIMIT, "{target}");
        }
    }

    #[test]
    fn what_is_loaded_of_a_binary_is_less_than_its_file() {
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        let loaded = loaded(&this).unwrap();
        assert!(loaded > 100_000 && loaded < this.len() as u64, "{loaded} of {}", this.len());
        assert_eq!(super::loaded(b"#!/bin/sh"), None);
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
