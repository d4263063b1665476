use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::Scope;

/// How long a connection may take to send a request's head, idle time before it included. Shorter than the grace
/// period of a stop, so that a client that never finishes cannot hold it up.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);

/// How many connections are open at once; one more waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;

/// Binds `listen` and serves `router` there; answers the bound address (port 0 chooses a free one).
///
/// # Errors
/// The address cannot be bound.
pub async fn bind_and_serve(listen: SocketAddr, router: Router, scope: &Scope) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("{} cannot listen on {listen}", scope.name))?;
    let address = listener.local_addr()?;
    serve(listener, router, scope);
    Ok(address)
}

/// Serves `router` on `listener` until the process stops; requests in flight are answered.
pub fn serve(listener: TcpListener, router: Router, scope: &Scope) {
    let stopping = scope.lifecycle.stopping();
    scope.lifecycle.spawn("http", async move {
        serve_until(stopping, listener, router, HEAD_PATIENCE).await;
        Ok(())
    });
}

/// `axum::serve` has neither a limit for connections nor a time limit for a request's head, hence this loop.
async fn serve_until(
    stopping: CancellationToken,
    listener: TcpListener,
    router: Router,
    head_patience: Duration,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head_patience);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped at the hard stop, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let next = async { (places.clone().acquire_owned().await, accept(&listener).await) };
        let (place, stream) = tokio::select! {
            () = stopping.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            let _held = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written in one piece, so waiting to fill a packet gains nothing. An error means that the
                // client has gone already.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // Out of file descriptors, most likely; others must be closed first.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;
    use crate::Lifecycle;

    const SOON: Duration = Duration::from_secs(10);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// What the server sends until it closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.expect("the server closes").unwrap();
        answer
    }

    #[tokio::test]
    async fn a_stop_answers_what_is_in_flight_and_waits_for_no_idle_connection() {
        let (listener, address) = listener().await;
        let started = Arc::new(Semaphore::new(0));
        let slow = {
            let started = started.clone();
            move || async move {
                started.add_permits(1);
                tokio::time::sleep(Duration::from_millis(200)).await;
                "done"
            }
        };
        let lifecycle = Lifecycle::new();
        let scope = Scope::new("test_service", &lifecycle);
        serve(listener, Router::new().route("/", get(|| async {})).route("/slow", get(slow)), &scope);

        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
        idle.read_u8().await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
        started.acquire().await.unwrap().forget();

        lifecycle.stop();
        assert_eq!(timeout(SOON, lifecycle.run()).await, Ok(ExitCode::SUCCESS));
        assert!(rest(&mut busy).await.ends_with("done"));
        assert!(rest(&mut idle).await.starts_with("TTP/1.1 200"));
        assert_eq!(rest(&mut silent).await, "");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_request_is_cut_off() {
        let (listener, address) = listener().await;
        let stopping = CancellationToken::new();
        let serving = serve_until(stopping.clone(), listener, Router::new(), Duration::from_millis(50));
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: sh").await.unwrap();
            rest(&mut stream).await;
            stopping.cancel();
        };
        tokio::join!(serving, client);
    }
}
