use std::path::PathBuf;

use anyhow::Context as _;

use super::find;

/// The library that, when preloaded, fakes a process's wall clock.
///
/// # Errors
/// Names what is missing.
pub fn faketime() -> anyhow::Result<PathBuf> {
    let architectures = find::subfolders("/usr/lib", "").into_iter();
    architectures
        .map(|folder| folder.join("faketime/libfaketime.so.1"))
        .find(|file| file.exists())
        .context("libfaketime is not installed (libfaketime.so.1)")
}
