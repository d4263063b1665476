//! A network between a client and a server, which a test can break.

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

/// A network that can drop traffic silently: no FIN, no RST. What it holds back arrives when it is released.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    holding: watch::Sender<Holding>,
    cut: watch::Sender<()>,
    server: watch::Sender<String>,
    _tasks: JoinSet<()>,
}

/// What a [`Proxy`] holds back, on existing and new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing: the network works.
    Nothing,
    /// Data from the server. The server still gets the client's data and its end of connection.
    Answers,
    /// Every byte in both directions.
    Everything,
}

/// What is held back, and whether for everybody or for one process.
#[derive(Clone, Copy, Debug)]
struct Holding {
    held: Held,
    process: Option<u32>,
}

impl Holding {
    /// What is held back on a connection that `owner` has opened.
    fn of(self, owner: Option<u32>) -> Held {
        if self.process.is_none_or(|process| owner == Some(process)) { self.held } else { Held::Nothing }
    }
}

impl Proxy {
    /// Creates a working network to the server at `url`.
    ///
    /// # Panics
    /// `url` has no host and port, or no loopback address is free.
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

    /// The server's URL, through this proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects new connections to the server at `url` from now on; existing ones stay where they are.
    ///
    /// # Panics
    /// `url` has no host and port.
    pub fn switch_to(&self, url: &str) {
        self.server.send_replace(address(&Url::parse(url).expect("the URL of a server")));
    }

    /// Holds back `held` from now on, and releases the rest.
    pub fn hold(&self, held: Held) {
        self.holding.send_replace(Holding { held, process: None });
    }

    /// The same for the connections that the process `process` opens or has opened, and releases all others: for a server
    /// whose clients share one address. Linux only; elsewhere nothing is held back.
    pub fn hold_of(&self, process: u32, held: Held) {
        self.holding.send_replace(Holding { held, process: Some(process) });
    }

    /// Closes all current connections, and loses what is held back.
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
    let own = listener.local_addr().expect("a bound listener has an address");
    while let Ok((client, address)) = listener.accept().await {
        let (server, held, mut cut) = (server.borrow().clone(), held.clone(), cut.clone());
        cut.mark_unchanged();
        connections.spawn(async move {
            // Before anything is passed on: once a client has closed its end, its process is no longer found.
            let owner = owner(address, own);
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

/// Passes on data while it is not `stopped`, and the end of either side.
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

/// The process on this machine whose socket connects these two addresses; `None` if it belongs to another user or does not exist.
fn owner(client: SocketAddr, server: SocketAddr) -> Option<u32> {
    // A table that changes while it is read may lack a line.
    let socket = format!("socket:[{}]", (0..5).find_map(|_| inode(client, server))?);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|to| to.to_str() == Some(&socket))
    })
}

/// The inode of a connected socket in `/proc/net/tcp` (proc(5)): the second and third fields are its own and its peer's address in
/// hexadecimal, as they are in memory; the tenth is the inode. Both addresses are compared, because one port can be connected to
/// several peers: the kernel gives a port away again while an earlier connection from it is in TIME_WAIT.
fn inode(socket: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let (socket, peer) = (in_hexadecimal(socket)?, in_hexadecimal(peer)?);
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        (columns.next()? == socket && columns.next()? == peer).then(|| columns.nth(6)?.parse().ok())?
    })
}

fn in_hexadecimal(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_traced_to_the_process_that_opened_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let client = TcpStream::connect(server).await.unwrap();
        assert_eq!(owner(client.local_addr().unwrap(), server), Some(std::process::id()));
        assert_eq!(owner(SocketAddr::from(([127, 0, 0, 1], 1)), server), None);
    }

    #[tokio::test]
    async fn an_ended_connection_from_the_same_port_is_not_mistaken_for_it() {
        let connect = async |from: SocketAddr, to: &TcpListener| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(from).unwrap();
            let client = socket.connect(to.local_addr().unwrap()).await.unwrap();
            (client, to.accept().await.unwrap().0)
        };
        let earlier = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (first, accepted) = connect("127.0.0.1:0".parse().unwrap(), &earlier).await;
        let from = first.local_addr().unwrap();
        // The side that closes first keeps the connection in TIME_WAIT, without an inode.
        drop(first);
        drop(accepted);
        // Several times, since the order of the table's lines is the kernel's.
        for _ in 0..8 {
            let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (_client, _accepted) = connect(from, &other).await;
            assert_eq!(owner(from, other.local_addr().unwrap()), Some(std::process::id()));
        }
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
