use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    process::Program,
    server::{Ready, Server, free_port},
};

const OLDEST: u32 = 15;

/// Whether PostgreSQL survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: for tests that kill it.
    Durable,
    /// Nothing is synced to disk: several times faster.
    Fast,
}

/// Special settings for a PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Whether it survives a power cut.
    pub durability: Durability,
    /// The parent of its folder, such as a small disk to fill up.
    pub folder: Option<PathBuf>,
    /// The URL, as a superuser, of a running server of which it becomes a streaming standby.
    pub standby_of: Option<String>,
    /// Additional settings: `name=value`.
    pub settings: Vec<String>,
}

impl Postgres {
    /// The default settings.
    pub fn new(durability: Durability) -> Self {
        Self { durability, folder: None, standby_of: None, settings: Vec::new() }
    }
}

#[derive(Debug)]
pub(super) struct Binaries {
    initdb: PathBuf,
    postgres: PathBuf,
    pg_isready: PathBuf,
}

impl Binaries {
    pub(super) fn find() -> anyhow::Result<Self> {
        let on_path = find::on_path("postgres").and_then(|file| file.canonicalize().ok());
        let on_path = on_path.and_then(|file| file.parent().map(ToOwned::to_owned));
        let packaged =
            find::subfolders("/usr/lib/postgresql", "").into_iter().map(|folder| folder.join("bin"));
        on_path
            .into_iter()
            .chain(packaged)
            .filter(|folder| {
                ["initdb", "postgres", "pg_isready"]
                    .iter()
                    .all(|name| find::is_executable(&folder.join(name)))
            })
            .find(|folder| {
                find::major_version(&folder.join("postgres")).is_some_and(|version| version >= OLDEST)
            })
            .map(|folder| Self {
                initdb: folder.join("initdb"),
                postgres: folder.join("postgres"),
                pg_isready: folder.join("pg_isready"),
            })
            .with_context(|| {
                format!("PostgreSQL {OLDEST} or later is not installed (initdb, postgres, pg_isready)")
            })
    }
}

/// The program that checks whether a server accepts connections.
pub(super) fn pg_isready() -> anyhow::Result<PathBuf> {
    Ok(Binaries::find()?.pg_isready)
}

pub(super) fn server(postgres: &Postgres) -> anyhow::Result<Server> {
    let binaries = Binaries::find()?;
    let folder = Folder::create_in(postgres.folder.as_deref(), "postgres", "postgres")?;
    let port = free_port()?;
    let data = folder.text("data");
    fill(&binaries, postgres, &data).run(&folder)?;
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // The folder's path can be longer than a socket's path may be.
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "max_prepared_transactions=10".to_owned(),
        // /dev/shm is small in containers.
        "dynamic_shared_memory_type=mmap".to_owned(),
    ];
    settings.extend(postgres.settings.iter().cloned());
    if postgres.durability == Durability::Fast {
        settings
            .extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(ToOwned::to_owned));
    }
    let mut arguments = vec!["-D".to_owned(), data];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    let asked = ["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-t", "2"].map(ToOwned::to_owned).to_vec();
    Ok(Server {
        url: format!("postgres://shop@127.0.0.1:{port}/postgres"),
        management_url: None,
        kubeconfig: None,
        programs: vec![program(binaries.postgres, arguments)],
        ready: Ready::Command(binaries.pg_isready, asked),
        // "Fast shutdown": it does not wait for its clients.
        stop_signal: Signal::INT,
        running: Vec::new(),
        folder,
    })
}

/// The command that creates the folder `data`: an empty server's, or a copy of another's.
fn fill(binaries: &Binaries, postgres: &Postgres, data: &str) -> Program {
    let (path, arguments) = match &postgres.standby_of {
        // Every glibc has C.UTF-8, in which lower() supports Cyrillic.
        None => (
            binaries.initdb.clone(),
            vec!["-D", data, "-U", "shop", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
        ),
        Some(url) => (
            binaries.initdb.with_file_name("pg_basebackup"),
            vec![
                "-D",
                data,
                "-d",
                url,
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
                "--no-sync",
            ],
        ),
    };
    program(path, arguments.into_iter().map(ToOwned::to_owned).collect())
}

fn program(path: PathBuf, arguments: Vec<String>) -> Program {
    Program { path, arguments, environment: Vec::new() }
}
