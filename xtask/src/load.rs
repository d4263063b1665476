//! `cargo xtask load` and `cargo xtask check-books`

use std::{os::unix::process::CommandExt as _, process::Command};

use clap::Args;

use crate::shell;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Those of the binary `shop-load`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the binary `shop-load`, and becomes its `command`, which explains itself with `--help`: then Ctrl-C reaches nobody else.
pub(crate) fn run(command: &str, Arguments { arguments }: &Arguments) -> anyhow::Result<()> {
    shell::run(shell::cargo(&["build", "--quiet", "--locked", "--package", "shop-load"]))?;
    let error = Command::new(shell::target().join("debug/shop-load")).arg(command).args(arguments).exec();
    Err(error.into())
}
