use std::net::{IpAddr, Ipv6Addr};

use shop_core::UserId;
use uuid::Uuid;

/// The caller, as far as limits are concerned: each client has its own failures and its own place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Somebody at this address.
    Address(IpAddr),
    /// A caller whom a trusted proxy identifies by something other than an address (RFC 7239, section 6.3).
    Named(String),
    /// A caller who has logged in to this account before, and sent the token from then.
    Device {
        /// The account.
        account: UserId,
        /// The token's id.
        token: Uuid,
    },
    /// The service itself.
    Operator,
}

impl Client {
    /// The client at `address`. Only the first half of an IPv6 address counts, because clients choose the rest themselves.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }

    /// Whether it goes first, and strangers' failures do not count against it.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::Operator)
    }

    /// The key under which failures are counted together.
    pub(crate) fn failures(&self) -> String {
        match self {
            Self::Device { token, .. } => format!("device:{token}"),
            client => client.line(),
        }
    }

    /// The key of its line in the queue.
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
