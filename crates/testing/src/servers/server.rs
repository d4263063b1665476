use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use super::{
    folder::Folder,
    process::{Program, Running},
};

/// How long a server may take from its start to its first answer. Generous, because a loaded CI machine starts an Erlang VM slowly.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// How long a server may take to stop gracefully.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A running private server, with the faults that a test may inject. Dropping it kills it.
///
/// The methods block, for up to seconds when they start or stop it; async code uses `shop_testing::Private`.
#[derive(Debug)]
pub struct Server {
    pub(super) url: String,
    pub(super) management_url: Option<String>,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) programs: Vec<Program>,
    pub(super) ready: Ready,
    pub(super) stop_signal: Signal,
    pub(super) running: Vec<Running>,
    pub(super) folder: Folder,
}

/// How to find out that a server answers.
#[derive(Clone, Debug)]
pub(super) enum Ready {
    /// The command exits with 0.
    Command(PathBuf, Vec<String>),
    /// Each port answers the bytes with something that contains the text.
    Answers(Vec<(u16, &'static str, &'static str)>),
}

impl Server {
    /// Where it listens: `postgres://…`, `redis://…`, `amqp://…`, `https://…` or `http://…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// RabbitMQ's management API, as `http://user:password@host:port`.
    pub fn management_url(&self) -> Option<&str> {
        self.management_url.as_deref()
    }

    /// The file that tells kubectl and other clients where a Kubernetes API is, and gives them admin rights.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref()
    }

    /// Starts it again after [`Server::kill9`] or [`Server::shut_down`], on the same port and data.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if !self.running.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + START_PATIENCE;
        for program in &self.programs {
            self.running.push(program.spawn(&self.folder)?);
        }
        while !self.ready.is_now() {
            for running in &mut self.running {
                if !running.is_alive() {
                    bail!("{} ended at once: {}", running.name(), running.log_tail());
                }
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not answer: {}",
                    self.url,
                    self.running.last().map_or_else(String::new, Running::log_tail)
                );
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// Whether all of its processes are running; frozen ones count as running.
    pub fn is_alive(&mut self) -> bool {
        !self.running.is_empty() && self.running.iter_mut().all(Running::is_alive)
    }

    /// Kills all of its processes at once, as a power cut would.
    pub fn kill9(&mut self) {
        // The last one depends on those before it.
        while let Some(mut running) = self.running.pop() {
            running.kill();
        }
    }

    /// Stops it gracefully, and kills it if that takes more than 30 seconds.
    pub fn shut_down(&mut self) {
        if let Some(main) = self.running.last_mut() {
            main.terminate(self.stop_signal, STOP_PATIENCE);
        }
        self.kill9();
    }

    /// Stops it and starts it again, on the same port and data.
    ///
    /// # Errors
    /// It does not start again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.shut_down();
        self.start()
    }

    /// Gives the folder `path` to the user that the server runs as.
    ///
    /// # Errors
    /// The owner cannot be changed.
    pub fn give(&self, path: &Path) -> anyhow::Result<()> {
        self.folder.give_away(path)
    }

    /// Stops all of its processes with SIGSTOP: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.running.iter().for_each(Running::freeze);
    }

    /// Continues a frozen server.
    pub fn thaw(&self) {
        self.running.iter().for_each(Running::thaw);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl Ready {
    fn is_now(&self) -> bool {
        match self {
            Self::Command(program, arguments) => std::process::Command::new(program)
                .args(arguments)
                .output()
                .is_ok_and(|output| output.status.success()),
            Self::Answers(probes) => {
                probes.iter().all(|(port, say, hear)| answers(*port, say, hear).unwrap_or(false))
            }
        }
    }
}

fn answers(port: u16, say: &str, hear: &str) -> std::io::Result<bool> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(say.as_bytes())?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).contains(hear))
}

/// Another process can take a port between our check and the server's start: then the server ends at once, and other ports are tried.
pub(super) fn on_free_ports(make: impl Fn() -> anyhow::Result<Server>) -> anyhow::Result<Server> {
    let mut attempts = 3;
    loop {
        attempts -= 1;
        let mut server = make()?;
        match server.start() {
            Ok(()) => return Ok(server),
            Err(_) if attempts > 0 => {}
            Err(error) => return Err(error).context("a test server does not start"),
        }
    }
}

/// A port that nobody listens on, below the range that the system uses for outgoing connections, so that a
/// restarted server finds its port free again.
pub(super) fn free_port() -> anyhow::Result<u16> {
    use std::hash::{BuildHasher as _, RandomState};

    let mut attempts = (0_u32..200).map(|attempt| {
        let random = RandomState::new().hash_one((attempt, std::process::id()));
        20_000 + u16::try_from(random % 12_000).unwrap_or_default()
    });
    attempts
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no loopback port between 20000 and 32000 is free")
}
