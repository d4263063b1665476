//! Processes that end with ours, and signals to a process with all of its descendants.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{find, folder::Folder};

/// How to start one process of a server.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Program {
    /// Its command, run in `folder` by the folder's owner.
    fn command(&self, folder: &Folder) -> anyhow::Result<Command> {
        let mut command = match folder.owner() {
            None => ending_with_us(&self.path, "KILL"),
            Some(owner) => {
                let setpriv = find::on_path("setpriv")
                    .context("root needs setpriv (util-linux) to start a server as another user")?;
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--clear-groups"]);
                command.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid));
                command.arg("--").arg(&self.path);
                command
            }
        };
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs it and waits for its end.
    pub(super) fn run(&self, folder: &Folder) -> anyhow::Result<()> {
        let output = self.command(folder)?.output().with_context(|| self.name())?;
        if !output.status.success() {
            bail!("{}: {}", self.name(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Starts it in its own process group, so that a Ctrl-C reaches the tests first; its output goes to a file.
    pub(super) fn spawn(&self, folder: &Folder) -> anyhow::Result<Running> {
        let name = self.name();
        let log = folder.path().join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = self.command(folder)?;
        command.process_group(0).stdout(output.try_clone()?).stderr(output);
        let child = spawn(command).with_context(|| format!("{} cannot be started", self.path.display()))?;
        let pid = Pid::from_child(&child);
        Ok(Running { name, child, pid, log })
    }

    fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// A started process.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Running {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of its output.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    pub(super) fn freeze(&self) {
        freeze_tree(self.pid);
    }

    pub(super) fn thaw(&self) {
        for pid in tree(self.pid).into_iter().rev() {
            signal(pid, Signal::CONT);
        }
    }

    /// Asks it to end, and waits.
    pub(super) fn terminate(&mut self, how: Signal, patience: Duration) {
        if !self.is_alive() {
            return;
        }
        self.thaw();
        signal(self.pid, how);
        let deadline = Instant::now() + patience;
        while self.is_alive() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it and all of its descendants, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        if !self.is_alive() {
            return;
        }
        for pid in freeze_tree(self.pid) {
            signal(pid, Signal::KILL);
        }
        // Waiting fails only for a process that is no longer our child.
        let _ = self.child.wait();
    }
}

/// A command for [`spawn`] that gets `signal` (`KILL`, `TERM`) when this process ends, however it ends. Without
/// util-linux's `setpriv`, it is the plain command.
pub fn ending_with_us(program: &Path, signal: &str) -> Command {
    let Some(setpriv) = find::on_path("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// Spawns from a thread that lives as long as this process. The kernel signals a child when the thread that started it ends,
/// not the process, and a test's thread may end before the test does.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static KEEPER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The caller waits for it, unless it panicked.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts servers is gone");
    KEEPER.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Stops a process and its descendants, repeating until there are no new ones; returns all of them.
fn freeze_tree(root: Pid) -> Vec<Pid> {
    let mut known = Vec::new();
    loop {
        let now = tree(root);
        let new: Vec<Pid> = now.iter().copied().filter(|pid| !known.contains(pid)).collect();
        if new.is_empty() {
            return now;
        }
        new.iter().for_each(|pid| signal(*pid, Signal::STOP));
        known = now;
    }
}

/// A process and its descendants, parents first. PostgreSQL's backends lead their own process groups, so a
/// signal to the group would not reach them.
fn tree(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some((pid, parent)) =
            fs::read_to_string(entry.path().join("stat")).ok().as_deref().and_then(parentage)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// The pids of the process and its parent in `/proc/<pid>/stat` (proc(5)); the name, in parentheses, may itself contain some.
fn parentage(stat: &str) -> Option<(i32, i32)> {
    let (pid, _) = stat.split_once(' ')?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some((pid.parse().ok()?, rest.split_whitespace().nth(1)?.parse().ok()?))
}

fn signal(pid: Pid, signal: Signal) {
    // It may have ended by itself.
    let _ = kill_process(pid, signal);
}

#[cfg(test)]
mod tests {
    use super::parentage;

    #[test]
    fn a_process_name_with_parentheses_does_not_hide_the_parent() {
        assert_eq!(parentage("4711 (tmux: (server) x) S 1 4711 4711 0"), Some((4711, 1)));
        assert_eq!(parentage("nonsense"), None);
    }
}
