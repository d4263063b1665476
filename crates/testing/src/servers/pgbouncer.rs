use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    postgres,
    process::Program,
    server::{Ready, Server, free_port},
};

/// How PgBouncer shares its connections to the server among its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// A client keeps one for as long as it is connected.
    Session,
    /// A client gets one for each transaction.
    Transaction,
    /// A client gets one for each statement.
    Statement,
}

/// The program named by `SHOP_TEST_PGBOUNCER`, or the installed one.
///
/// # Errors
/// Names what is missing.
pub fn pgbouncer() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("SHOP_TEST_PGBOUNCER").filter(|path| !path.is_empty()).map(PathBuf::from);
    named
        .filter(|path| find::is_executable(path))
        .or_else(|| find::on_path("pgbouncer"))
        .context("PgBouncer is not installed (pgbouncer)")
}

/// Starts in front of the server on `port`, configured like CloudNativePG's Pooler: it drops the start-up `options` that clients set.
pub(super) fn server(url: &str, mode: PoolMode) -> anyhow::Result<Server> {
    let path = pgbouncer()?;
    let port =
        url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).context("a PostgreSQL's URL")?;
    let folder = Folder::create("pgbouncer", "postgres")?;
    let listen = free_port()?;
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    folder.write("users", "\"shop\" \"\"\n")?;
    folder.write(
        "pgbouncer.ini",
        &format!(
            "[databases]\n\
             * = host=127.0.0.1 port={port}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {listen}\n\
             unix_socket_dir =\n\
             auth_type = trust\n\
             auth_file = {}\n\
             pool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits,options\n\
             default_pool_size = 50\n\
             server_login_retry = 1\n",
            folder.text("users")
        ),
    )?;
    let asked =
        ["-q", "-h", "127.0.0.1", "-p", &listen.to_string(), "-U", "shop", "-d", "postgres", "-t", "2"];
    Ok(Server {
        url: format!("postgres://shop@127.0.0.1:{listen}/postgres"),
        management_url: None,
        kubeconfig: None,
        programs: vec![Program {
            path,
            arguments: vec![folder.text("pgbouncer.ini")],
            environment: Vec::new(),
        }],
        ready: Ready::Command(postgres::pg_isready()?, asked.map(ToOwned::to_owned).to_vec()),
        // "Immediate shutdown".
        stop_signal: Signal::TERM,
        running: Vec::new(),
        folder,
    })
}
