//! Addresses of the services of this process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

/// The address of a service of this process, from inside the process.
pub(crate) fn address(mut address: SocketAddr) -> anyhow::Result<Url> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}").parse()?)
}

/// Where a person on this machine finds what listens on `address`.
pub(crate) fn at(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => {
            format!("http://localhost:{}", address.port())
        }
        _ => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_a_browser_takes_it() {
        let shown = |address: &str| at(address.parse().unwrap());
        for everywhere in ["127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080"] {
            assert_eq!(shown(everywhere), "http://localhost:8080");
        }
        // `localhost` is often 127.0.0.1 first.
        assert_eq!(shown("[::1]:8080"), "http://[::1]:8080");
        assert_eq!(shown("[fd00::7]:80"), "http://[fd00::7]:80");
        assert_eq!(shown("192.0.2.7:8080"), "http://192.0.2.7:8080");
    }
}
