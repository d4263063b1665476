//! An address that leads to another server when it is told to, as a Service or a virtual IP does. Open connections stay where they
//! are: whoever holds one goes on with the old server.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

pub(crate) struct Switch {
    pub(crate) address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    _tasks: JoinSet<()>,
}

impl Switch {
    pub(crate) async fn to(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (target, targets) = watch::channel(target);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, targets));
        Ok(Self { address, target, _tasks: tasks })
    }

    /// New connections go there.
    pub(crate) fn turn(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<SocketAddr>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let target = *target.borrow();
        connections.spawn(async move {
            // A server that is away closes what was accepted: as a Service's proxy may.
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
