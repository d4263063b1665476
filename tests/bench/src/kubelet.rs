//! The shop's processes, restarted when they end, as a kubelet does.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use shop_testing::{servers, shop::Part};
use tokio::task::JoinSet;

use crate::process::{free_address, get};

const LOOK: Duration = Duration::from_millis(500);
const STOPS_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// How to start one.
#[derive(Clone)]
pub(crate) struct Service {
    /// No other has this name.
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    binary: PathBuf,
    environment: Vec<(&'static str, String)>,
    folder: PathBuf,
}

impl Service {
    /// `binary` from the folder `binaries`; the variable `listen` tells it where to listen; its log is in `folder`.
    pub(crate) fn new(
        binaries: &Path,
        folder: &Path,
        (name, listen): (&'static str, &'static str),
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let variables = std::iter::once((listen, address.to_string())).chain(environment).collect();
        Ok(Self::of(binaries, folder, Part { name, binary: name, address, variables }))
    }

    /// A part of a planned shop, with its log in `folder`.
    pub(crate) fn of(binaries: &Path, folder: &Path, part: Part) -> Self {
        let Part { name, binary, address, variables } = part;
        let mut environment = vec![("LOG_FORMAT", "json".to_owned()), ("RUST_LOG", "info".to_owned())];
        environment.extend(variables);
        Self { name, address, binary: binaries.join(binary), environment, folder: folder.to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log =
            File::options().create(true).append(true).open(self.folder.join(format!("{}.log", self.name)))?;
        let mut command = servers::ending_with_us(&self.binary, "KILL");
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        servers::spawn(command).with_context(|| self.binary.display().to_string())
    }

    /// Starts it alone, to see whether it refuses; returns its output until it ended.
    pub(crate) async fn refuses(&self, within: Duration) -> anyhow::Result<String> {
        let mut child = self.spawn()?;
        let log = self.folder.join(format!("{}.log", self.name));
        let ended = tokio::time::timeout(within, async {
            while child.try_wait()?.is_none() {
                tokio::time::sleep(LOOK / 5).await;
            }
            anyhow::Ok(())
        });
        let outcome = ended.await;
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        outcome.with_context(|| format!("{} runs where it should refuse to", self.name))??;
        Ok(std::fs::read_to_string(log)?)
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let answer = tokio::time::timeout(ANSWERS_WITHIN, get(self.address, "/readyz")).await;
        matches!(answer, Ok(Ok((200, _))))
    }
}

/// All of them, running.
pub(crate) struct Kubelet {
    pub(crate) services: Vec<Service>,
    children: Arc<Mutex<Vec<Child>>>,
    restarts: JoinSet<anyhow::Result<()>>,
}

impl Kubelet {
    pub(crate) fn start(services: Vec<Service>) -> anyhow::Result<Self> {
        let children = services.iter().map(Service::spawn).collect::<anyhow::Result<Vec<_>>>()?;
        let children = Arc::new(Mutex::new(children));
        let mut restarts = JoinSet::new();
        restarts.spawn(keep(services.clone(), Arc::clone(&children)));
        Ok(Self { services, children, restarts })
    }

    /// The names of those that are not ready.
    pub(crate) async fn unready(&self) -> Vec<&'static str> {
        let mut unready = Vec::new();
        for service in &self.services {
            if !service.is_ready().await {
                unready.push(service.name);
            }
        }
        unready
    }

    /// Kills one, as a crash would. It is restarted soon.
    pub(crate) fn kill(&self, name: &str) -> anyhow::Result<()> {
        let place = self.services.iter().position(|service| service.name == name);
        let place = place.with_context(|| format!("there is no {name}"))?;
        Ok(lock(&self.children)[place].kill()?)
    }

    /// Stops all of them gracefully.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.restarts.abort_all();
        for (service, child) in self.services.iter().zip(lock(&self.children).iter_mut()) {
            kill_process(Pid::from_child(child), Signal::TERM).with_context(|| service.name)?;
        }
        let all_ended = async {
            while lock(&self.children).iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) {
                tokio::time::sleep(LOOK / 5).await;
            }
        };
        tokio::time::timeout(STOPS_WITHIN, all_ended).await.context("a service does not stop")?;
        Ok(())
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        for child in lock(&self.children).iter_mut() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lock(children: &Mutex<Vec<Child>>) -> MutexGuard<'_, Vec<Child>> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Restarts those that have ended.
async fn keep(services: Vec<Service>, children: Arc<Mutex<Vec<Child>>>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        for (service, child) in services.iter().zip(lock(&children).iter_mut()) {
            if let Some(status) = child.try_wait()? {
                println!("          {} ended ({status}) and is restarted", service.name);
                *child = service.spawn()?;
            }
        }
    }
}
