//! Where a server keeps its data, and the user as which it runs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;

/// A system user, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some(Self { uid: numbers.next()?.parse().ok()?, gid: numbers.next()?.parse().ok()? })
    }
}

/// A folder under `target/test-servers` that is removed when this is dropped, owned by the user as which the server runs.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    owner: Option<User>,
}

impl Folder {
    /// PostgreSQL refuses to run as root, and no server needs to: if we are root, each is started as `system_user`, or as `nobody`.
    pub(super) fn create(kind: &str, system_user: &str) -> anyhow::Result<Self> {
        Self::create_in(None, kind, system_user)
    }

    /// The same inside `parent`, which may be a small disk.
    pub(super) fn create_in(parent: Option<&Path>, kind: &str, system_user: &str) -> anyhow::Result<Self> {
        let owner = if rustix::process::geteuid().is_root() {
            let user = User::named(system_user).or_else(|| User::named("nobody"));
            Some(user.with_context(|| format!("there is neither a user {system_user} nor nobody"))?)
        } else {
            None
        };
        Self::create_for(parent, kind, owner)
    }

    /// For a server that runs as the current user.
    pub(super) fn create_ours(kind: &str) -> anyhow::Result<Self> {
        Self::create_for(None, kind, None)
    }

    fn create_for(parent: Option<&Path>, kind: &str, owner: Option<User>) -> anyhow::Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => {
                let parent = parent_folder(owner.is_some())?;
                sweep(&parent);
                parent
            }
        };
        let folder = tempfile::Builder::new()
            .prefix(&format!("{kind}-{}-", std::process::id()))
            .tempdir_in(&parent)
            .with_context(|| format!("no folder can be made in {}", parent.display()))?;
        let folder = Self { folder, owner };
        folder.give_away(folder.path())?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn owner(&self) -> Option<User> {
        self.owner
    }

    /// A path inside it, as text: for command lines and configuration files.
    pub(super) fn text(&self, name: &str) -> String {
        self.path().join(name).to_string_lossy().into_owned()
    }

    pub(super) fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let file = self.path().join(name);
        fs::write(&file, content)?;
        self.give_away(&file)
    }

    pub(super) fn give_away(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(owner) = self.owner {
            chown(path, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(())
    }
}

/// `target/test-servers`, or the system's folder for temporary files if another user could not reach the former, because the
/// repository is in a private home folder.
fn parent_folder(for_another_user: bool) -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers");
    fs::create_dir_all(&parent)?;
    let parent = parent.canonicalize()?;
    let reachable =
        |folder: &Path| folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
    if for_another_user && !parent.ancestors().all(reachable) {
        let parent = std::env::temp_dir().join("shop-test-servers");
        fs::create_dir_all(&parent)?;
        return Ok(parent);
    }
    Ok(parent)
}

/// Removes the folders left by processes that were killed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_string_lossy().split('-').nth(1).and_then(|pid| pid.parse::<u32>().ok());
        // Without /proc, nothing is removed.
        if owner.is_some_and(|pid| {
            Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{pid}")).exists()
        }) {
            // Another process may be removing it too; anything left is removed next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
