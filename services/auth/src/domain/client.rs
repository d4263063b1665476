use std::net::{IpAddr, Ipv6Addr};

use shop_core::UserId;
use uuid::Uuid;

/// Who asks, as far as it matters for bounds: each client has failures and a place in the queue of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Somebody at this address.
    Address(IpAddr),
    /// Somebody whom a proxy that is trusted knows by another name than an address (RFC 7239, section 6.3).
    Named(String),
    /// One that has logged in to this account before, with the token that it was given then.
    Device {
        /// Whose it is.
        account: UserId,
        /// The token's id.
        token: Uuid,
    },
    /// The service itself.
    Operator,
}

impl Client {
    /// Whoever is at `address`; of an IPv6 address the first half, because the rest is the client's own to choose.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }

    /// Whether it goes first, and strangers' failures are not held against it.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::Operator)
    }

    /// Whose failures count together.
    pub(crate) fn failures(&self) -> String {
        match self {
            Self::Device { token, .. } => format!("device:{token}"),
            client => client.line(),
        }
    }

    /// Who waits in one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Address(address) => format!("address:{address}"),
            Self::Named(name) => format!("name:{name}"),
            Self::Device { account, .. } => format!("account:{account}"),
            Self::Operator => "operator".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is_one_however_it_is_written() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2:ffff::"));
        assert_ne!(at("2001:db8:1:2::"), at("2001:db8:1:3::"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
