use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{Ready, Server, find, folder::Folder, free_port, process::Program};

const OLDEST: u32 = 15;

/// Whether PostgreSQL survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: for tests that kill it.
    Durable,
    /// Nothing is synced to disk: several times faster.
    Fast,
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

/// The program that asks whether a server takes connections.
pub(super) fn pg_isready() -> anyhow::Result<PathBuf> {
    Ok(Binaries::find()?.pg_isready)
}

pub(super) fn server(durability: Durability) -> anyhow::Result<Server> {
    let binaries = Binaries::find()?;
    let folder = Folder::create("postgres", "postgres")?;
    let port = free_port()?;
    let data = folder.text("data");
    // C.UTF-8 is in every glibc, and lower() knows Cyrillic in it.
    let initdb = ["-D", &data, "-U", "shop", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
    program(binaries.initdb, initdb.map(ToOwned::to_owned).to_vec()).run(&folder)?;
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // Their path can be longer than a socket's name may be.
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "max_prepared_transactions=10".to_owned(),
        // /dev/shm is small in containers.
        "dynamic_shared_memory_type=mmap".to_owned(),
    ];
    if durability == Durability::Fast {
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

fn program(path: PathBuf, arguments: Vec<String>) -> Program {
    Program { path, arguments, environment: Vec::new() }
}
