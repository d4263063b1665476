//! Tools written in Python: each has its own environment under target/, created once from PyPI.

use std::{path::PathBuf, process::Command};

use anyhow::Context as _;
use shop_testing::servers;

use crate::{install, shell};

/// A package on PyPI with its version, and one of its modules.
pub(crate) struct Tool {
    pub(crate) requirement: &'static str,
    pub(crate) module: &'static str,
}

impl Tool {
    /// The path of a Python interpreter that has it.
    ///
    /// # Errors
    /// There is no Python, or PyPI cannot be reached.
    pub(crate) fn python(&self) -> anyhow::Result<PathBuf> {
        let folder = shell::target().join(self.requirement.replace("==", "-"));
        let python = folder.join("bin/python");
        if self.import(&python).is_err() {
            let environment = || {
                let mut venv = Command::new(servers::on_path("python3").context("there is no python3")?);
                venv.args(["-m", "venv", "--clear"]).arg(&folder);
                shell::output(venv)
            };
            // Debian's python3 comes without the module that creates environments.
            if environment().is_err() {
                install::packages(&["python3", "python3-venv"])?;
                environment()?;
            }
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", self.requirement]);
            shell::output(pip)?;
            self.import(&python)?;
        }
        Ok(python)
    }

    fn import(&self, python: &PathBuf) -> anyhow::Result<String> {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {}", self.module)]);
        shell::output(command)
    }
}
