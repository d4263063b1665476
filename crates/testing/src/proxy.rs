//! A network between a client and a server, to break.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// A network that can swallow without a word: no FIN, no RST. What it holds back arrives when it is let go.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    holding: watch::Sender<Holding>,
    cut: watch::Sender<()>,
    server: watch::Sender<String>,
    _tasks: JoinSet<()>,
}

/// What a [`Proxy`] holds back, of old connections and of new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing: a network that works.
    Nothing,
    /// What the server says. It hears the client, and its end.
    Answers,
    /// Every byte in both directions.
    Everything,
}

/// What is held back, and of whom: of everybody, or of one process.
#[derive(Clone, Copy, Debug)]
struct Holding {
    held: Held,
    process: Option<u32>,
}

impl Holding {
    /// What is held back of a connection that `owner` has opened.
    fn of(self, owner: Option<u32>) -> Held {
        if self.process.is_none_or(|process| owner == Some(process)) { self.held } else { Held::Nothing }
    }
}

impl Proxy {
    /// A network that works, to the server at `url`.
    ///
    /// # Panics
    /// `url` has no host and port, or there is no loopback address left.
    pub async fn to(url: &str) -> Self {
        let mut url = Url::parse(url).expect("the URL of a server");
        let server = address(&url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback address");
        let port = listener.local_addr().expect("its address").port();
        url.set_host(Some("127.0.0.1")).expect("a server's URL has a host");
        url.set_port(Some(port)).expect("a server's URL has a port");
        let (holding, held) = watch::channel(Holding { held: Held::Nothing, process: None });
        let (cut, cutting) = watch::channel(());
        let mut tasks = JoinSet::new();
        let (server, at) = watch::channel(server);
        tasks.spawn(accept(listener, at, held, cutting));
        Self { url: url.into(), holding, cut, server, _tasks: tasks }
    }

    /// The server's URL, but through here.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on takes new connections to the server at `url`; old ones stay where they are.
    ///
    /// # Panics
    /// `url` has no host and port.
    pub fn switch_to(&self, url: &str) {
        self.server.send_replace(address(&Url::parse(url).expect("the URL of a server")));
    }

    /// From now on holds back `held`, and lets the rest go.
    pub fn hold(&self, held: Held) {
        self.holding.send_replace(Holding { held, process: None });
    }

    /// The same, of the connections that the process `process` opens and has opened, and lets all others go: for a server
    /// whose clients have but one address for it. Linux only; elsewhere nothing is held back.
    pub fn hold_of(&self, process: u32, held: Held) {
        self.holding.send_replace(Holding { held, process: Some(process) });
    }

    /// Breaks the connections that there are, and loses what is held back.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }
}

fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().expect("a host"), url.port_or_known_default().expect("a port"))
}

async fn accept(
    listener: TcpListener,
    server: watch::Receiver<String>,
    held: watch::Receiver<Holding>,
    cut: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, address)) = listener.accept().await {
        let (server, held, mut cut) = (server.borrow().clone(), held.clone(), cut.clone());
        cut.mark_unchanged();
        connections.spawn(async move {
            // Before anything is passed on: a client that has closed its end is not found any more.
            let owner = owner(address);
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let holds_all = move |holding: Holding| holding.of(owner) == Held::Everything;
            let holds_any = move |holding: Holding| holding.of(owner) != Held::Nothing;
            let there = forward(from_client, to_server, held.clone(), holds_all);
            let back = forward(from_server, to_client, held, holds_any);
            tokio::select! {
                _ = cut.changed() => {}
                _ = async { tokio::join!(there, back) } => {}
            }
        });
    }
}

/// Passes on what comes, while it is not `stopped`; the end of one side too.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut held: watch::Receiver<Holding>,
    stopped: impl Fn(Holding) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or_default();
        if held.wait_for(|held| !stopped(*held)).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// The process on this machine whose socket has this address; `None` where it is another user's, or none.
fn owner(client: SocketAddr) -> Option<u32> {
    // A table that changes while it is read can lack a line.
    let socket = format!("socket:[{}]", (0..5).find_map(|_| inode(client))?);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|to| to.to_str() == Some(&socket))
    })
}

/// The inode of a socket, as `/proc/net/tcp` (proc(5)) has it: the address in hexadecimal, as it is in memory, second; the inode
/// tenth.
fn inode(socket: SocketAddr) -> Option<u64> {
    let IpAddr::V4(address) = socket.ip() else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.octets()), socket.port());
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        (columns.next()? == local).then(|| columns.nth(7)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_traced_to_the_process_that_opened_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!(owner(client.local_addr().unwrap()), Some(std::process::id()));
        assert_eq!(owner(SocketAddr::from(([127, 0, 0, 1], 1))), None);
    }

    #[test]
    fn of_one_process_nothing_else_is_held() {
        let holding = Holding { held: Held::Everything, process: Some(7) };
        assert_eq!(holding.of(Some(7)), Held::Everything);
        assert_eq!(holding.of(Some(8)), Held::Nothing);
        assert_eq!(holding.of(None), Held::Nothing);
        assert_eq!(Holding { process: None, ..holding }.of(None), Held::Everything);
    }
}
