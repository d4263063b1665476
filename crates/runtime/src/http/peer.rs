use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName};

/// The header in which a proxy names its client.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The longest name of a client without an address.
const LONGEST_NAME: usize = 64;

/// Who sent a request, so that clients can be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at this address.
    Address(IpAddr),
    /// A proxy's name for a client without an address: `_telegram-1234` (RFC 7239, section 6.3).
    Named(String),
    /// Unknown.
    Unknown,
}

impl Peer {
    /// Who sent the request with these `headers`. With `trust_proxy` the connection belongs to a proxy, and the client is the last
    /// one in `X-Forwarded-For`, because everything before it was sent by the client itself.
    pub fn of(extensions: &Extensions, headers: &HeaderMap, trust_proxy: bool) -> Self {
        if trust_proxy
            && let Some(last) = headers.get_all(FORWARDED_FOR).iter().next_back()
            && let Some(peer) = last.to_str().ok().and_then(Self::last_named)
        {
            return peer;
        }
        let connection = extensions.get::<ConnectInfo<SocketAddr>>();
        connection.map_or(Self::Unknown, |ConnectInfo(address)| Self::Address(address.ip().to_canonical()))
    }

    fn last_named(value: &str) -> Option<Self> {
        let last = value.rsplit(',').next()?.trim();
        let address = last.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(address) = address.or_else(|_| last.parse::<SocketAddr>().map(|address| address.ip())) {
            return Some(Self::Address(address.to_canonical()));
        }
        let is_name = last.len() <= LONGEST_NAME
            && last.strip_prefix('_').is_some_and(|name| !name.is_empty())
            && last.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        is_name.then(|| Self::Named(last.to_owned()))
    }
}

impl fmt::Display for Peer {
    /// The peer as `X-Forwarded-For` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(forwarded: &[&'static str], trust_proxy: bool) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([198, 51, 100, 1], 4711))));
        let headers =
            forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect::<HeaderMap>();
        Peer::of(&extensions, &headers, trust_proxy).to_string()
    }

    #[test]
    fn the_connection_says_who_it_is_unless_it_is_a_trusted_proxys() {
        assert_eq!(peer(&[], false), "198.51.100.1");
        assert_eq!(peer(&["192.0.2.1"], false), "198.51.100.1");
        assert_eq!(peer(&["192.0.2.1"], true), "192.0.2.1");
        assert_eq!(peer(&[], true), "198.51.100.1");
        assert_eq!(Peer::of(&Extensions::new(), &HeaderMap::new(), true), Peer::Unknown);
    }

    #[test]
    fn the_nearest_proxy_has_the_last_word() {
        assert_eq!(peer(&["203.0.113.9, 192.0.2.1"], true), "192.0.2.1");
        assert_eq!(peer(&["203.0.113.9", " 192.0.2.1 "], true), "192.0.2.1");
        assert_eq!(peer(&["192.0.2.1, nonsense"], true), "198.51.100.1", "what is said is not understood");
    }

    #[test]
    fn an_address_is_known_in_every_spelling_and_a_name_is_bounded() {
        assert_eq!(peer(&["192.0.2.1:4711"], true), "192.0.2.1");
        assert_eq!(peer(&["[2001:db8::1]:80"], true), "2001:db8::1");
        assert_eq!(peer(&["[2001:db8::1]"], true), "2001:db8::1");
        assert_eq!(peer(&["::ffff:192.0.2.1"], true), "192.0.2.1");
        assert_eq!(peer(&["_telegram-42"], true), "_telegram-42");
        for name in ["", "_", "unknown", "_a b", "_a:b", "telegram", &*"_a".repeat(40)] {
            let name: &'static str = name.to_owned().leak();
            assert_eq!(peer(&[name], true), "198.51.100.1", "{name}");
        }
    }
}
