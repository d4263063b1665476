//! Backends in containers, for machines that have nothing but Docker.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use shop_testing::servers;

use crate::shell;

/// How long a container may take to answer, including the download of its image.
const PATIENCE: Duration = Duration::from_secs(300);

/// A backend as a container.
pub(crate) struct Image {
    /// `postgres:17`
    pub(crate) name: &'static str,
    environment: &'static [&'static str],
    /// Replaces the image's command, if set.
    command: &'static [&'static str],
    port: u16,
    management_port: Option<u16>,
    /// A command that, run in the container, exits with 0 once the backend answers.
    ready: &'static [&'static str],
    /// The URL before and after host and port.
    url: (&'static str, &'static str),
}

pub(crate) const POSTGRES: Image = Image {
    name: "postgres:17",
    environment: &["POSTGRES_USER=shop", "POSTGRES_PASSWORD=shop"],
    command: &[
        "postgres",
        "-c",
        "fsync=off",
        "-c",
        "max_connections=300",
        "-c",
        "max_prepared_transactions=10",
    ],
    port: 5432,
    management_port: None,
    // Over TCP: while the image is still setting the database up, it answers on its socket only.
    ready: &["pg_isready", "-h", "127.0.0.1", "-U", "shop"],
    url: ("postgres://shop:shop@", "/postgres"),
};

pub(crate) const REDIS: Image = Image {
    name: "redis:8",
    environment: &[],
    command: &["redis-server", "--save", "", "--databases", "1024"],
    port: 6379,
    management_port: None,
    ready: &["redis-cli", "ping"],
    url: ("redis://", ""),
};

pub(crate) const RABBITMQ: Image = Image {
    name: "rabbitmq:4-management",
    environment: &[],
    command: &[],
    port: 5672,
    management_port: Some(15672),
    ready: &["rabbitmq-diagnostics", "-q", "check_port_connectivity"],
    url: ("amqp://guest:guest@", "/%2f"),
};

/// A running container; removed when this is dropped.
pub(crate) struct Container {
    pub(crate) url: String,
    pub(crate) management_url: Option<String>,
    name: String,
    log: PathBuf,
    client: Child,
}

/// Whether a daemon answers.
pub(crate) fn is_available() -> bool {
    docker(&["info"]).is_ok()
}

impl Container {
    /// Starts `image` and waits until it answers.
    pub(crate) fn start(image: &Image) -> anyhow::Result<Self> {
        let docker_path = servers::on_path("docker").context("docker is not installed")?;
        let kind = image.name.split(':').next().unwrap_or_default();
        let name = format!("shop-test-{kind}-{}", std::process::id());
        // Attached: if we are killed, so is the client, and it passes the signal on to the container.
        let mut command = servers::ending_with_us(&docker_path, "TERM");
        command.args(["run", "--rm", "--name", &name, "--publish", &format!("127.0.0.1::{}", image.port)]);
        if let Some(port) = image.management_port {
            command.args(["--publish", &format!("127.0.0.1::{port}")]);
        }
        for variable in image.environment {
            command.args(["--env", variable]);
        }
        command.arg(image.name).args(image.command);
        let log = shell::target().join(format!("docker-{kind}.log"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let client = servers::spawn(command)?;
        let mut container = Self { url: String::new(), management_url: None, name, log, client };
        container.wait(image)?;
        let (before, after) = image.url;
        container.url = format!("{before}{}{after}", container.published(image.port)?);
        if let Some(port) = image.management_port {
            container.management_url = Some(format!("http://guest:guest@{}", container.published(port)?));
        }
        Ok(container)
    }

    fn wait(&mut self, image: &Image) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let ready = [&["exec", &self.name], image.ready].concat();
        while docker(&ready).is_err() {
            if let Some(status) = self.client.try_wait()? {
                bail!("the container of {} ended: {status}; see {}", image.name, self.log.display());
            }
            if Instant::now() > deadline {
                bail!("the container of {} does not answer; see {}", image.name, self.log.display());
            }
            thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }

    /// Host and port on this machine.
    fn published(&self, port: u16) -> anyhow::Result<String> {
        let answer = docker(&["port", &self.name, &port.to_string()])?;
        Ok(answer.lines().next().context("docker names no port")?.trim().to_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
        let _ = self.client.wait();
    }
}

fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.args(arguments);
    shell::output(command)
}
