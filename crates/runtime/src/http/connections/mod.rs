use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    HttpConfig, Routers,
    activity::Activity,
    exchange::Exchange,
    listen,
    places::{Admission, Place, Places},
    stream::{Patience, Stream},
};
use crate::{
    Lifecycle, Periodically, Scope,
    metrics::{ClosedLabels, Metrics},
};

/// How long a request's head may take to arrive. Shorter than the grace period of a stop, so that a client that never finishes
/// cannot hold it up.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);

/// How long a client may read nothing.
const READER_PATIENCE: Duration = Duration::from_secs(20);

/// How much a connection may buffer, in bytes: a head, and what has arrived but has not been read yet.
const LARGEST_HEAD: usize = 64 * 1024;

/// How many connections the port for probes has.
const PROBES: usize = 64;

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    connections: usize,
    per_peer: usize,
    patience: Patience,
}

impl Bounds {
    fn api(config: &HttpConfig) -> Self {
        // The rest is for files, backends and other ports.
        let files = usize::try_from(listen::open_files() / 4 * 3).unwrap_or(usize::MAX);
        let connections = (config.max_connections as usize).min(files).max(1);
        let per_peer = config.max_connections_per_peer.map_or(connections / 4 * 3, |count| count as usize);
        Self { connections, per_peer: per_peer.clamp(1, connections), patience: patience(config) }
    }

    fn probes(config: &HttpConfig) -> Self {
        Self { connections: PROBES, per_peer: PROBES, patience: patience(config) }
    }
}

fn patience(config: &HttpConfig) -> Patience {
    let keep_alive = Duration::from_secs(config.keep_alive_seconds.into());
    Patience { head: HEAD_PATIENCE, keep_alive, stall: READER_PATIENCE }
}

/// Binds `address` and serves the API there, and the probes where `PROBE_LISTEN` says. Returns the API's bound address (port 0
/// chooses a free one).
///
/// # Errors
/// An address cannot be bound.
pub async fn bind_and_serve(
    address: SocketAddr,
    routers: Routers,
    scope: &Scope,
) -> anyhow::Result<SocketAddr> {
    let bind = |address| {
        listen::listen(address).with_context(|| format!("{} cannot listen on {address}", scope.name))
    };
    let listener = bind(address)?;
    let address = listener.local_addr()?;
    if let Some((at, probes)) = scope.http.probe_listen.zip(routers.probes) {
        let listener = bind(at).context("PROBE_LISTEN")?;
        tracing::info!(address = %listener.local_addr()?, "probes");
        // Asked for until the last request is answered.
        let lifecycle = scope.lifecycle.beneath();
        spawn("probes", listener, probes, Bounds::probes(&scope.http), &scope.metrics, &lifecycle);
    }
    serve(listener, routers.api, scope);
    Ok(address)
}

/// Serves `router` on `listener` until the process stops; requests in flight are answered.
pub fn serve(listener: TcpListener, router: Router, scope: &Scope) {
    spawn("http", listener, router, Bounds::api(&scope.http), &scope.metrics, &scope.lifecycle);
}

fn spawn(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    metrics: &Metrics,
    lifecycle: &Lifecycle,
) {
    let (stopping, metrics) = (lifecycle.stopping(), metrics.clone());
    lifecycle.spawn(name, async move {
        serve_until(stopping, listener, router, bounds, metrics).await;
        Ok(())
    });
}

/// `axum::serve` has neither a limit for connections nor any timeouts, hence this loop.
async fn serve_until(
    stopping: CancellationToken,
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    metrics: Metrics,
) {
    let server = protocol(bounds.patience);
    let graceful = GracefulShutdown::new();
    let places = Places::new(bounds.connections, bounds.per_peer);
    // Dropped at the hard stop, and the connections with it.
    let mut connections = JoinSet::new();
    let mut next = Box::pin(admit(&listener, &places, &metrics));
    loop {
        let Admitted { stream, peer, place, activity } = tokio::select! {
            () = stopping.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            admitted = &mut next => {
                next.set(admit(&listener, &places, &metrics));
                admitted
            }
        };
        let stream = Stream::new(stream, Arc::clone(&activity), bounds.patience, metrics.closed.clone());
        let exchange = Exchange { router: router.clone(), activity, peer };
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), exchange));
        let (id, open) = (place.id(), Open::new(&metrics));
        let task = connections.spawn(async move {
            let _held = (place, open);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
        places.serves(id, task);
    }
    drop(next);
    drop(listener);
    graceful.shutdown().await;
}

fn protocol(patience: Patience) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        // The stream has a closer look; this is for what came together with the request before it.
        .header_read_timeout(patience.keep_alive + patience.head)
        .max_header_size(LARGEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        // A client that has sent everything still wants the response.
        .half_close(true);
    server
}

/// A connection that may be served.
struct Admitted {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    activity: Arc<Activity>,
}

/// Waits for the next connection that gets a place.
async fn admit(listener: &TcpListener, places: &Arc<Places>, metrics: &Metrics) -> Admitted {
    static FULL: Periodically = Periodically::line();
    let closed = |reason, count: usize| {
        metrics.closed.get_or_create(&ClosedLabels { reason }).inc_by(count as u64);
        if let Some(count) = FULL.due() {
            tracing::warn!(count, reason, "all places for connections are taken");
        }
    };
    loop {
        let (stream, peer) = accept(listener, places).await;
        let activity = Arc::new(Activity::new());
        loop {
            match places.admit(peer.ip(), &activity) {
                Admission::Place(place, others) => {
                    if others > 0 {
                        closed("evicted", others);
                    }
                    return Admitted { stream, peer, place, activity };
                }
                Admission::Full => places.change().await,
                Admission::PeerFull => {
                    closed("refused", 1);
                    break;
                }
            }
        }
    }
}

async fn accept(listener: &TcpListener, places: &Places) -> (TcpStream, SocketAddr) {
    static FAILING: Periodically = Periodically::line();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                listen::prepare(&stream, READER_PATIENCE);
                // A peer that came over IPv4 is known by that address.
                return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
            }
            Err(error) => {
                if let Some(count) = FAILING.due() {
                    tracing::warn!(%error, count, "connections cannot be accepted");
                }
                // Out of file descriptors, most likely.
                places.make_room();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Counts a connection while it is open.
struct Open(Metrics);

impl Open {
    fn new(metrics: &Metrics) -> Self {
        metrics.connections.inc();
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

#[cfg(test)]
mod tests;
