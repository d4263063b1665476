use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    process::Program,
    server::{Ready, Server, free_port},
};

/// `guest:guest` in base64.
const OVERVIEW: &str = "GET /api/overview HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nConnection: close\r\n\r\n";

#[derive(Debug)]
pub(super) struct Binaries {
    server: PathBuf,
    epmd: PathBuf,
}

impl Binaries {
    pub(super) fn find() -> anyhow::Result<Self> {
        // Not the wrapper that Debian puts on the PATH: it insists on the system's own folders.
        let on_path = find::on_path("rabbitmq-server").and_then(|file| file.canonicalize().ok());
        let on_path = on_path.filter(|file| file.file_name().is_some_and(|name| name == "rabbitmq-server"));
        let packaged = find::subfolders("/usr/lib/rabbitmq/lib", "rabbitmq_server-");
        let packaged = packaged.into_iter().map(|folder| folder.join("sbin/rabbitmq-server"));
        let server = find::first_executable(packaged.chain(on_path))
            .context("RabbitMQ is not installed (rabbitmq-server)")?;
        find::on_path("erl").context("RabbitMQ's Erlang is not installed (erl)")?;
        let erts =
            find::subfolders("/usr/lib/erlang", "erts-").into_iter().map(|folder| folder.join("bin/epmd"));
        let epmd = find::first_executable(find::on_path("epmd").into_iter().chain(erts))
            .context("Erlang's port mapper is not installed (epmd)")?;
        Ok(Self { server, epmd })
    }
}

pub(super) fn server() -> anyhow::Result<Server> {
    let binaries = Binaries::find()?;
    let folder = Folder::create("rabbitmq", "rabbitmq")?;
    let [amqp, management, prometheus, distribution, epmd] =
        [free_port()?, free_port()?, free_port()?, free_port()?, free_port()?];
    folder.write("enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n")?;
    folder.write(
        "rabbitmq.conf",
        &format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             prometheus.tcp.ip = 127.0.0.1\n\
             prometheus.tcp.port = {prometheus}\n"
        ),
    )?;
    let epmd_address = [("ERL_EPMD_PORT", epmd.to_string()), ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned())];
    let mut environment = vec![
        ("RABBITMQ_NODENAME", format!("shop-{amqp}@localhost")),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        // Ignores the system's own settings.
        ("RABBITMQ_CONF_ENV_FILE", folder.text("rabbitmq-env.conf")),
        ("RABBITMQ_CONFIG_FILE", folder.text("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", folder.text("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", folder.text("enabled_plugins")),
        ("RABBITMQ_BASE", folder.text("")),
        ("RABBITMQ_MNESIA_BASE", folder.text("mnesia")),
        ("RABBITMQ_LOG_BASE", folder.text("log")),
        ("RABBITMQ_PID_FILE", folder.text("pid")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", folder.text("config")),
        ("RABBITMQ_PLUGINS_EXPAND_DIR", folder.text("plugins-expand")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        // Makes its script become the Erlang VM instead of supervising it: one process less to signal.
        ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
    ];
    environment.extend(epmd_address.clone());
    // Its own port mapper, in the foreground: the one that Erlang would start would outlive it.
    let epmd = Program { path: binaries.epmd, arguments: Vec::new(), environment: epmd_address.to_vec() };
    let server = Program { path: binaries.server, arguments: Vec::new(), environment };
    Ok(Server {
        url: format!("amqp://guest:guest@127.0.0.1:{amqp}/%2f"),
        management_url: Some(format!("http://guest:guest@127.0.0.1:{management}")),
        kubeconfig: None,
        programs: vec![epmd, server],
        ready: Ready::Answers(vec![
            (management, OVERVIEW, " 200 "),
            (amqp, "AMQP\0\0\u{9}\u{1}", "capabilities"),
        ]),
        stop_signal: Signal::TERM,
        running: Vec::new(),
        folder,
    })
}

impl Server {
    /// Runs `rabbitmqctl` on a RabbitMQ, for the faults that its management API does not offer.
    ///
    /// # Errors
    /// The command fails, or this is not a RabbitMQ.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let server = self.programs.last().context("no programs")?;
        let path = server.path.with_file_name("rabbitmqctl");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Program { path, arguments, environment: server.environment.clone() }.run(&self.folder)
    }
}
