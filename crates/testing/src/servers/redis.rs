use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    process::Program,
    server::{Ready, Server, free_port},
};

const OLDEST: u32 = 7;

pub(super) fn find() -> anyhow::Result<PathBuf> {
    find::on_path("redis-server")
        .filter(|file| find::major_version(file).is_some_and(|version| version >= OLDEST))
        .with_context(|| format!("Redis {OLDEST} or later is not installed (redis-server)"))
}

pub(super) fn server() -> anyhow::Result<Server> {
    let path = find()?;
    let folder = Folder::create("redis", "redis")?;
    let port = free_port()?;
    let arguments = format!("--port {port} --bind 127.0.0.1 --databases 1024 --appendonly no");
    let mut arguments: Vec<String> = arguments.split(' ').map(ToOwned::to_owned).collect();
    // An empty argument means: no snapshots.
    arguments.extend(["--save".to_owned(), String::new()]);
    Ok(Server {
        url: format!("redis://127.0.0.1:{port}"),
        management_url: None,
        kubeconfig: None,
        programs: vec![Program { path, arguments, environment: Vec::new() }],
        ready: Ready::Answers(vec![(port, "PING\r\n", "PONG")]),
        stop_signal: Signal::TERM,
        running: Vec::new(),
        folder,
    })
}
