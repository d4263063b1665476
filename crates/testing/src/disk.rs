//! A disk that fills up: a file system of a test's own, in memory.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use crate::skip::skip;

/// A mounted file system of a few MiB. Unmounted with this.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

/// A file system of `megabytes`; only who may mount has one.
///
/// # Panics
/// There is no folder for it.
pub fn small_disk(megabytes: u32) -> Option<SmallDisk> {
    let folder = tempfile::tempdir().expect("a folder");
    let size = format!("size={megabytes}m");
    let mount = ["-t", "tmpfs", "-o", &size, "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(folder.path()).output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(SmallDisk(folder));
    }
    skip("a small file system cannot be mounted here");
    None
}

impl SmallDisk {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: somebody may have a file open there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
