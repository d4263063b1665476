//! `cargo xtask images`: builds the images, all from one commit, and checks them against their budget.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context as _;
use clap::{Args, builder::PossibleValuesParser};

use crate::{
    footprint, shell,
    targets::{SERVICES, SHOP, TAG, names},
};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Which images to build; default: all
    #[arg(value_parser = PossibleValuesParser::new(SERVICES.into_iter().chain([SHOP])))]
    targets: Vec<String>,
    /// The images' tag
    #[arg(long, default_value = TAG)]
    tag: String,
    /// The full name, if a single image is built, instead of shop/<target>:<tag>
    #[arg(long)]
    name: Option<String>,
    /// Compile on this machine, incrementally and without optimisation: takes seconds after a change, but only for development
    #[arg(long)]
    dev: bool,
    /// Print the commands, and run none
    #[arg(long)]
    dry_run: bool,
}

/// Builds the images that `arguments` name.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let targets: Vec<&str> = match arguments.targets.as_slice() {
        [] => SERVICES.into_iter().chain([SHOP]).collect(),
        some => some.iter().map(String::as_str).collect(),
    };
    let names = names(&targets, &arguments.tag, arguments.name.as_deref())?;
    build(&names, Compiler::of(arguments.dev), arguments.dry_run)
}

/// What compiles the binaries in the images.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Compiler {
    /// Docker, optimised for size: the images that are shipped.
    Docker,
    /// Cargo on this machine, incrementally.
    Host,
}

impl Compiler {
    /// Only Linux can compile the binaries for a Linux image.
    pub(crate) fn of(dev: bool) -> Self {
        if dev && !cfg!(target_os = "linux") {
            println!("this machine does not run Linux, so Docker compiles, which takes minutes");
        }
        if dev && cfg!(target_os = "linux") { Self::Host } else { Self::Docker }
    }
}

/// Builds `names`, pairs of target and name, and checks shipped images against their budget.
pub(crate) fn build(names: &[(&str, String)], compiler: Compiler, dry_run: bool) -> anyhow::Result<()> {
    let commit = match compiler {
        Compiler::Docker => Some(Commit::read()?),
        Compiler::Host => {
            compile(dry_run)?;
            None
        }
    };
    for (target, name) in names {
        shell::run_or_print(build_one(target, name, commit.as_ref()), dry_run)?;
    }
    if compiler == Compiler::Docker && !dry_run {
        footprint::hold(names)?;
    }
    Ok(())
}

/// What the images' labels say.
struct Commit {
    revision: String,
    /// Seconds since 1970.
    time: String,
    /// The same in readable form.
    created: String,
}

impl Commit {
    fn read() -> anyhow::Result<Self> {
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.args(arguments).current_dir(shell::root()).env("TZ", "UTC");
            shell::output(git)
        };
        let date = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
        let line = git(&["log", "-1", date, "--format=%H %ct %cd"])?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut next = || words.next().with_context(|| format!("git log answers {line:?}"));
        let (mut revision, time, created) = (next()?, next()?, next()?);
        if !git(&["status", "--porcelain"])?.is_empty() {
            revision.push_str("-dirty");
        }
        Ok(Self { revision, time, created })
    }
}

/// Without a `commit` there are no labels, and an image changes only with its binary.
fn build_one(target: &str, name: &str, commit: Option<&Commit>) -> Command {
    let mut docker = Command::new("docker");
    // An attestation turns the image into an index, which `kind load` does not accept.
    docker
        .current_dir(shell::root())
        .envs([("DOCKER_BUILDKIT", "1"), ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")]);
    docker.args(["build", "--file", "Dockerfile", "--target", target, "--tag", name]);
    let Some(commit) = commit else {
        docker.args(["--build-arg", "BINARIES=host"]).arg(context(target));
        return docker;
    };
    for (name, value) in [
        ("VERSION", env!("CARGO_PKG_VERSION")),
        ("REVISION", &commit.revision),
        ("SOURCE_DATE_EPOCH", &commit.time),
        ("CREATED", &commit.created),
    ] {
        docker.args(["--build-arg", &format!("{name}={value}")]);
    }
    docker.arg(".");
    docker
}

/// The context for the Dockerfile's stage `host`: the files that go into one image.
fn context(target: &str) -> PathBuf {
    shell::target().join("images").join(target)
}

/// Compiles all binaries, as static as the images need them. All at once: one by one, their shared dependencies would get different
/// features, and be compiled again.
fn compile(dry_run: bool) -> anyhow::Result<()> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut arguments = vec!["build", "--locked", "--target", &triple];
    let binaries = || SERVICES.into_iter().chain([SHOP]);
    arguments.extend(binaries().flat_map(|binary| ["--package", binary]));
    let mut cargo = shell::cargo(&arguments);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=debuginfo");
    shell::run_or_print(cargo, dry_run)?;
    if dry_run {
        return Ok(());
    }
    for binary in binaries() {
        let from = shell::target().join(&triple).join("debug").join(binary);
        let to = context(binary).join(binary).join("usr/local/bin").join(binary);
        // Docker's cache compares contents, but an unwritten file need not be read again.
        if fs::read(&from).with_context(|| from.display().to_string())? != fs::read(&to).unwrap_or_default() {
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        }
    }
    fs::create_dir_all(context(SHOP).join("data"))?;
    Ok(())
}
