//! A connection that ends when we want it to, whatever the other side does.
//!
//! lapin closes a connection by asking the broker, from its own thread. A broker that blocks publishers, or a
//! network that swallows packets, does not answer; the thread, its buffers and what it had queued would stay. So a
//! handle on the socket is kept beside lapin's, and shut down when the connection is given up.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPSoftError},
    tcp::TLSConfig,
    types::ShortString,
};

use super::uri::Uri;

/// How long a connection may take to be made: name, TCP, TLS and the AMQP handshake, each.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the broker may take to answer when we close the connection.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// A connection to the broker. When it is dropped it is cut; [`Link::close`] closes it in an orderly way first.
pub(super) struct Link {
    connection: Connection,
    /// In a mutex, never locked, because lapin's stream is not `Sync`.
    events: Mutex<Pin<Box<dyn Stream<Item = Event> + Send>>>,
    blocked: Option<String>,
    _socket: Socket,
}

impl Link {
    pub(super) async fn open(uri: &Uri, name: &str) -> lapin::Result<Self> {
        if uri.is_tls() {
            // An error means that the process has a provider already.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let authorities = match uri.authorities() {
            Some(file) => Some(tokio::fs::read_to_string(file).await?),
            None => None,
        };
        let socket = Socket::default();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connector(
            uri.expose().clone(),
            lapin::runtime::default_runtime()?,
            {
                let (uri, slot) = (uri.clone(), socket.0.clone());
                async move |_, runtime| {
                    // On lapin's thread, which nobody else would end.
                    within(CONNECT, async {
                        let addresses = tokio::net::lookup_host((uri.host(), uri.port())).await?;
                        let addresses: Vec<_> = addresses.collect();
                        let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                        if let AsyncTcpStream::Plain(plain) = &stream {
                            slot.keep(plain.get_ref().as_fd().try_clone_to_owned()?.into())?;
                        }
                        if uri.is_tls() {
                            let trust =
                                TLSConfig { cert_chain: authorities.as_deref(), ..TLSConfig::default() };
                            Ok(stream.into_tls(uri.host(), trust).await?)
                        } else {
                            Ok(stream)
                        }
                    })
                    .await
                }
            },
            properties,
        );
        let connection = within(2 * CONNECT, connecting).await?;
        let events: Pin<Box<dyn Stream<Item = Event> + Send>> = Box::pin(connection.events_listener());
        Ok(Self { connection, events: Mutex::new(events), blocked: None, _socket: socket })
    }

    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected()
    }

    /// Why the broker blocks publishers; `None` when it does not.
    pub(super) fn blocked(&mut self) -> Option<String> {
        let events = self.events.get_mut().unwrap_or_else(PoisonError::into_inner);
        while let Some(Some(event)) = events.next().now_or_never() {
            match event {
                Event::ConnectionBlocked(reason) => self.blocked = Some(reason),
                Event::ConnectionUnblocked => self.blocked = None,
                _ => {}
            }
        }
        let untold = || "it does not say why".to_owned();
        self.connection.status().blocked().then(|| self.blocked.clone().unwrap_or_else(untold))
    }

    pub(super) async fn close(self) {
        // A failure ends in the same way: the socket is shut.
        let _ = tokio::time::timeout(GOODBYE, self.connection.close(200, ShortString::default())).await;
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer while connecting");
    tokio::time::timeout(limit, work).await.map_err(late)?
}

/// Our handle on the socket. Dropping it shuts the socket down, now or as soon as lapin's thread has made one.
#[derive(Default)]
struct Socket(Arc<Slot>);

#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Connecting,
    Connected(TcpStream),
    GivenUp,
}

impl Slot {
    fn keep(&self, socket: TcpStream) -> io::Result<()> {
        let mut state = self.state();
        match *state {
            State::GivenUp => Err(io::Error::new(io::ErrorKind::Interrupted, "given up")),
            _ => {
                *state = State::Connected(socket);
                Ok(())
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let State::Connected(socket) = std::mem::replace(&mut *self.0.state(), State::GivenUp) {
            // An error means that it is shut down already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A name as AMQP carries it.
pub(super) fn short(name: &str) -> lapin::Result<ShortString> {
    ShortString::try_new(name)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()).into())
}

/// What an error on an open connection means for it.
pub(super) enum Cause {
    /// The broker closed the channel: code and text.
    Channel(AMQPSoftError, String),
    /// The connection is gone.
    Connection(String),
}

impl From<&lapin::Error> for Cause {
    fn from(error: &lapin::Error) -> Self {
        if let ErrorKind::ProtocolError(error) = error.kind()
            && let AMQPErrorKind::Soft(code) = error.kind()
        {
            return Self::Channel(code.clone(), error.get_message().to_string());
        }
        Self::Connection(error.to_string())
    }
}
