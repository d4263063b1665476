use std::{fmt, str::FromStr, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri};
use url::{Host, Url};

use crate::{InvalidBrokerUrl, message::SHORT};

/// Seconds between heartbeats: a peer that is silent for two of them is gone.
const HEARTBEAT: u16 = 10;

/// The largest frame, in bytes, unless the address says otherwise; brokers would take twice that. lapin keeps two buffers of 32
/// frames for each connection, and a message's headers, 32 KiB at most, have to fit into one frame.
const FRAME_MAX: u32 = 65_536;

/// An AMQP address. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Uri(AMQPUri);

impl Uri {
    /// The parsed address, as lapin takes it.
    pub(super) fn expose(&self) -> &AMQPUri {
        &self.0
    }

    /// The same address, with heartbeats of `wanted` at most; 1 second is the shortest that there is.
    pub(super) fn with_heartbeat(mut self, wanted: Duration) -> Self {
        let wanted = u16::try_from(wanted.as_secs()).unwrap_or(u16::MAX).max(1);
        let heartbeat = self.0.query.heartbeat.unwrap_or(HEARTBEAT);
        // 0 turns them off.
        self.0.query.heartbeat = Some(if heartbeat == 0 { wanted } else { heartbeat.min(wanted) });
        self
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    pub(super) fn host(&self) -> &str {
        &self.0.authority.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.authority.port
    }
}

impl FromStr for Uri {
    type Err = InvalidBrokerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerUrl> {
        let url = Url::parse(text).map_err(|_| InvalidBrokerUrl::Malformed)?;
        let mut uri: AMQPUri = text.parse().map_err(|_| InvalidBrokerUrl::Malformed)?;
        match url.host() {
            Some(Host::Domain("")) | None => return Err(InvalidBrokerUrl::Malformed),
            // lapin's own parser takes any IPv6 address for localhost.
            Some(Host::Ipv6(ip)) => uri.authority.host = ip.to_string(),
            Some(Host::Domain(_) | Host::Ipv4(_)) => {}
        }
        // By the letter of the AMQP URI specification a path of `/` names the virtual host "", which nobody has.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        if uri.vhost.len() > SHORT {
            return Err(InvalidBrokerUrl::Malformed);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        Ok(Self(uri))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        write!(
            f,
            "{scheme}://{}:…@{}:{} (vhost {vhost})",
            authority.userinfo.username, authority.host, authority.port
        )
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> AMQPUri {
        text.parse::<Uri>().unwrap().0
    }

    #[test]
    fn every_usual_spelling_of_the_root_virtual_host_is_read() {
        for path in ["", "/", "//", "/%2f", "/%2F"] {
            assert_eq!(uri(&format!("amqp://guest:guest@rabbitmq:5672{path}")).vhost, "/", "{path:?}");
        }
        assert_eq!(uri("amqp://rabbitmq/shop").vhost, "shop");
        assert_eq!(uri("amqp://rabbitmq/a%2fb").vhost, "a/b");
    }

    #[test]
    fn host_port_and_credentials_are_read() {
        let tls = uri("amqps://us%40er:p%3Aw@[::1]/shop");
        assert_eq!((tls.authority.host.as_str(), tls.authority.port), ("::1", 5671));
        assert_eq!(tls.authority.userinfo.username, "us@er");
        assert_eq!(tls.authority.userinfo.password, "p:w");
        assert_eq!(uri("amqp://10.0.0.1").authority.host, "10.0.0.1");
    }

    #[test]
    fn heartbeats_are_on_unless_the_address_says_otherwise() {
        assert_eq!(uri("amqp://rabbitmq").query.heartbeat, Some(HEARTBEAT));
        assert_eq!(uri("amqp://rabbitmq?heartbeat=3").query.heartbeat, Some(3));
    }

    #[test]
    fn frames_are_small_unless_the_address_says_otherwise() {
        assert_eq!(uri("amqp://rabbitmq").query.frame_max, Some(FRAME_MAX));
        assert_eq!(uri("amqp://rabbitmq?frame_max=131072").query.frame_max, Some(131_072));
    }

    #[test]
    fn a_publisher_can_ask_for_shorter_heartbeats_only() {
        let heartbeat = |address: &str, wanted: u64| {
            let uri = address.parse::<Uri>().unwrap().with_heartbeat(Duration::from_secs(wanted));
            uri.0.query.heartbeat
        };
        assert_eq!(heartbeat("amqp://rabbitmq", 3), Some(3));
        assert_eq!(heartbeat("amqp://rabbitmq", 30), Some(HEARTBEAT));
        assert_eq!(heartbeat("amqp://rabbitmq?heartbeat=0", 3), Some(3));
        assert_eq!(heartbeat("amqp://rabbitmq", 0), Some(1));
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let long = format!("amqp://rabbitmq/{}", "a".repeat(256));
        for text in ["", "rabbitmq:5672", "http://rabbitmq", "amqp:///shop", "amqp://rabbitmq:99999", &long] {
            assert_eq!(text.parse::<Uri>(), Err(InvalidBrokerUrl::Malformed), "{text:?}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let uri = "amqp://shop:se%63ret@rabbitmq:5672//".parse::<Uri>().unwrap();
        let shown = format!("{uri} {uri:?} {:?}", "amqp://shop:secret@:x".parse::<Uri>());
        assert!(!shown.contains("secret") && !shown.contains("se%63ret"), "{shown}");
        assert_eq!(uri.to_string(), "amqp://shop:…@rabbitmq:5672 (vhost /)");
    }
}
