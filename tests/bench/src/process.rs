//! The measured processes, and the kernel's counters for them.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use shop_testing::servers;

use crate::load::Connection;

/// How long a service may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// The unit of processor time in `/proc/<pid>/stat`: `USER_HZ`, 100 per second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A running process. Killed when dropped.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// From its start to the first successful answer.
    pub(crate) ready_after: Duration,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` with only `environment`, its log in `folder`, and waits until a GET of
    /// `path` at `address` is answered with 200.
    pub(crate) async fn start(
        name: &'static str,
        binary: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        (address, path): (SocketAddr, &str),
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        // If it is started again, its log is continued.
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = servers::ending_with_us(binary, "KILL");
        command
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let started = Instant::now();
        let child = servers::spawn(command).with_context(|| binary.display().to_string())?;
        let mut process = Self { name, address, ready_after: Duration::ZERO, child, log };
        process.wait_for(path).await?;
        process.ready_after = started.elapsed();
        Ok(process)
    }

    async fn wait_for(&mut self, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while get(self.address, path).await.ok().is_none_or(|(status, _)| status != 200) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} does not start: {}", self.name, fs::read_to_string(&self.log)?);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Asks it to stop gracefully, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait()?;
            if ended.is_some_and(|status| status.success()) {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} does not stop in order: {}", self.name, fs::read_to_string(&self.log)?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The value of `metric` in its `/metrics`, with its labels if it has any; `None` if there is no such metric.
    pub(crate) async fn metric(&self, metric: &str) -> anyhow::Result<Option<f64>> {
        let (_, answer) = get(self.address, "/metrics").await?;
        let answer = String::from_utf8(answer)?;
        let value = answer.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The part of it that is not mapped from a file, such as the binary.
    pub(crate) fn anonymous(&self) -> anyhow::Result<u64> {
        self.memory("RssAnon:")
    }

    /// Its peak resident memory, in bytes.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &'static str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context(field)?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// The processor time that it has used so far, in user space and in the kernel.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        processor_time(&stat).context("no times")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that all processes of this machine with the `name` have used so far.
pub(crate) fn processor_time_of_all(name: &str) -> anyhow::Result<Duration> {
    let mut used = Duration::ZERO;
    for entry in fs::read_dir("/proc")? {
        // Not a process, or one that has just ended.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        if stat.contains(&format!("({name})")) {
            used += processor_time(&stat).unwrap_or_default();
        }
    }
    Ok(used)
}

/// From a `/proc/<pid>/stat`.
fn processor_time(stat: &str) -> Option<Duration> {
    // The name, in parentheses, may contain spaces; utime and stime are the 12th and 13th field after it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, kernel) = times.next().zip(times.next())?;
    Some(TICK * (user.ok()? + kernel.ok()?))
}

/// Sends a GET; returns the status and the whole response.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut connection = Connection::open(address).await?;
    let status = connection.ask(get_request(path).as_bytes()).await?;
    Ok((status, connection.answer))
}

pub(crate) fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n")
}

/// A loopback address that is currently free.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whatever_the_name_is() {
        let rest = "S 1 1 1 0 -1 4194560 1000 0 0 0 150 50 0 0 20 0 3 0 100 1 1";
        for name in ["order", "a name", "a) (b"] {
            assert_eq!(
                processor_time(&format!("42 ({name}) {rest}")),
                Some(Duration::from_secs(2)),
                "{name}"
            );
        }
        assert_eq!(processor_time("42 (order) S 1"), None);
    }
}
