//! Listening sockets. `[::]` means every address of both families, whatever the system's default is.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// How many connections the kernel queues until they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`. Where the kernel has no IPv6, `[::]` is every IPv4 address.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(address, open).and_then(|socket| TcpListener::from_std(socket.into()))
}

/// How long a connection is silent before the kernel checks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Prepares an accepted connection. An error means that the client has already gone.
pub(super) fn prepare(stream: &TcpStream, reader_patience: Duration) {
    // Responses are written in one piece, so waiting to fill a packet gains nothing.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4));
    // For a response that the kernel has accepted completely, and that nobody reads.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(reader_patience));
    #[cfg(not(target_os = "linux"))]
    let _ = reader_patience;
}

/// Raises the number of files that the process may have open to the system's limit, which is often far higher than the default.
pub(super) fn open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

fn listen_with<S>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<S>) -> io::Result<S> {
    match open(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_without_ipv6(&error) => {
            tracing::info!(%error, "there is no IPv6 here: listening on every IPv4 address");
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        outcome => outcome,
    }
}

/// A kernel without the family, or one in which no interface has it.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_one_of_either_family() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            TcpStream::connect((host, port)).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        }
    }

    #[tokio::test]
    async fn one_address_is_that_alone() {
        let listener = listen("[::1]:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(TcpStream::connect(address).await.is_ok());
        assert!(TcpStream::connect(("127.0.0.1", address.port())).await.is_err());
        let taken = listen(address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    /// What a kernel without IPv6 says, and one whose interfaces have none.
    #[test]
    fn without_ipv6_every_address_is_one_of_ipv4() {
        for missing in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            let only_v4 = |address: SocketAddr| match address {
                SocketAddr::V6(_) => Err(io::Error::from(missing)),
                SocketAddr::V4(_) => open(address).and_then(|socket| socket.local_addr()),
            };
            let bound = listen_with("[::]:0".parse().unwrap(), only_v4).unwrap();
            assert_eq!(bound.as_socket().unwrap().ip(), Ipv4Addr::UNSPECIFIED);
            assert!(listen_with("[::1]:0".parse().unwrap(), only_v4).is_err(), "it was asked for by name");
        }
        let taken = |_| Err::<(), _>(io::Error::from(Errno::ADDRINUSE));
        assert!(listen_with("[::]:80".parse().unwrap(), taken).is_err());
    }
}
