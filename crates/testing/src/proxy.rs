//! A network between a client and a server, to break.

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
    held: watch::Sender<Held>,
    cut: watch::Sender<()>,
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

impl Proxy {
    /// A network that works, to the server at `url`.
    ///
    /// # Panics
    /// `url` has no host and port, or there is no loopback address left.
    pub async fn to(url: &str) -> Self {
        let mut url = Url::parse(url).expect("the URL of a server");
        let server =
            format!("{}:{}", url.host_str().expect("a host"), url.port_or_known_default().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback address");
        let port = listener.local_addr().expect("its address").port();
        url.set_host(Some("127.0.0.1")).expect("a server's URL has a host");
        url.set_port(Some(port)).expect("a server's URL has a port");
        let (held, holding) = watch::channel(Held::Nothing);
        let (cut, cutting) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, holding, cutting));
        Self { url: url.into(), held, cut, _tasks: tasks }
    }

    /// The server's URL, but through here.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on holds back `held`, and lets the rest go.
    pub fn hold(&self, held: Held) {
        self.held.send_replace(held);
    }

    /// Breaks the connections that there are, and loses what is held back.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    held: watch::Receiver<Held>,
    cut: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, held, mut cut) = (server.clone(), held.clone(), cut.clone());
        cut.mark_unchanged();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let there = forward(from_client, to_server, held.clone(), |held| held == Held::Everything);
            let back = forward(from_server, to_client, held, |held| held != Held::Nothing);
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
    mut held: watch::Receiver<Held>,
    stopped: impl Fn(Held) -> bool,
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
