//! A proxy that the environment names in every possible way, and that nobody may use.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::TcpListener, task::JoinSet};

/// The variables that one library or another reads.
const VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

pub(crate) struct Proxies {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Proxies {
    pub(crate) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut task = JoinSet::new();
        task.spawn(record(listener, Arc::clone(&asked)));
        Ok(Self { address, asked, _task: task })
    }

    /// The environment that names it.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let url = format!("http://{}", self.address);
        VARIABLES.into_iter().map(move |name| (name, url.clone()))
    }

    /// The first line of each request.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn record(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut head = vec![0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(1), client.read(&mut head)).await;
        let head =
            String::from_utf8_lossy(&head[..read.ok().and_then(Result::ok).unwrap_or_default()]).into_owned();
        let line = head.lines().next().unwrap_or("a connection without a word").to_owned();
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
