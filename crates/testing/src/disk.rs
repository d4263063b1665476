//! A disk that can be filled up: a file system in memory for one test.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use crate::skip::skip;

/// A mounted file system of a few MiB. Unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

/// Creates a file system of `megabytes`; `None` without the right to mount.
///
/// # Panics
/// The folder for it cannot be created.
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
    /// The mount point.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process may still have a file open there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
