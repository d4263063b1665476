use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Socket, Type};

/// A loopback address for a service that is about to start, and perhaps again later. Nobody else gets it while this process
/// lives: tests run side by side, and a service takes seconds to start.
///
/// A socket is bound to it and never listens. The system gives such a port to nobody who asks for any, and still lets a server listen on
/// it that sets `SO_REUSEADDR`, as ours do.
///
/// # Errors
/// No loopback port is free.
pub fn reserve_address() -> io::Result<SocketAddr> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    // It is closed when the process ends.
    std::mem::forget(socket);
    Ok(address)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::TcpListener};

    use super::*;

    #[test]
    fn a_reserved_address_is_given_to_nobody_and_can_be_listened_on_again_and_again() {
        let reserved: HashSet<SocketAddr> = (0..200).map(|_| reserve_address().unwrap()).collect();
        assert_eq!(reserved.len(), 200);
        for _ in 0..2000 {
            let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
            assert!(!reserved.contains(&any), "{any}");
        }
        for address in reserved {
            drop(TcpListener::bind(address).unwrap());
            drop(TcpListener::bind(address).unwrap());
        }
    }
}
