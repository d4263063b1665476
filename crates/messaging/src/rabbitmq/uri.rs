use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

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
pub(super) struct Uri {
    uri: AMQPUri,
    /// A file with the certificates of the authorities that are trusted beside the system's.
    authorities: Option<String>,
    /// Parameters that have no effect.
    ignored: Vec<String>,
}

impl Uri {
    /// The parsed address, as lapin takes it.
    pub(super) fn expose(&self) -> &AMQPUri {
        &self.uri
    }

    /// The file with the certificates of authorities that are trusted beside the system's.
    pub(super) fn authorities(&self) -> Option<&str> {
        self.authorities.as_deref()
    }

    /// Logs the names of the parameters that have no effect.
    pub(super) fn warn(&self) {
        if !self.ignored.is_empty() {
            tracing::warn!(broker = %self, parameters = self.ignored.join(", "), "parameters that have no effect");
        }
    }

    /// The same address, with heartbeats of `wanted` at most; 1 second is the shortest that there is.
    pub(super) fn with_heartbeat(mut self, wanted: Duration) -> Self {
        let wanted = u16::try_from(wanted.as_secs()).unwrap_or(u16::MAX).max(1);
        let heartbeat = self.uri.query.heartbeat.unwrap_or(HEARTBEAT);
        // 0 turns them off.
        self.uri.query.heartbeat = Some(if heartbeat == 0 { wanted } else { heartbeat.min(wanted) });
        self
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    pub(super) fn host(&self) -> &str {
        &self.uri.authority.host
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.authority.port
    }
}

impl FromStr for Uri {
    type Err = InvalidBrokerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerUrl> {
        let text = text.trim();
        well_delimited(text)?;
        let url = Url::parse(text).map_err(|_| InvalidBrokerUrl::Malformed)?;
        let (authorities, ignored) = parameters(&url)?;
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
        Ok(Self { uri, authorities, ignored })
    }
}

/// Words in the names of parameters that are about security, in RabbitMQ's own clients and in others.
const SECURITY: [&str; 12] =
    ["ssl", "tls", "cert", "verif", "peer", "server_name", "depth", "auth", "pass", "secret", "token", "key"];

/// Reads the parameters that lapin does not: the authorities' file, and the names of those that have no effect.
fn parameters(url: &Url) -> Result<(Option<String>, Vec<String>), InvalidBrokerUrl> {
    let (mut authorities, mut ignored, mut seen) = (None, Vec::new(), BTreeSet::new());
    for (name, value) in url.query_pairs() {
        let plain = name.to_ascii_lowercase();
        let is_word =
            plain.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) && plain.len() <= 40;
        let shown = if is_word { plain.clone() } else { "a parameter that has no proper name".to_owned() };
        let refused = |why| Err(InvalidBrokerUrl::Parameter(shown.clone(), why));
        if !seen.insert(plain.clone()) {
            return refused("it is there twice");
        }
        let for_tls = url.scheme() == "amqps";
        match (plain.as_str(), &*value) {
            ("frame_max" | "channel_max" | "heartbeat" | "connection_timeout", number)
                if number.parse::<u32>().is_ok() => {}
            ("frame_max" | "channel_max" | "heartbeat" | "connection_timeout", _) => {
                return refused("expected a number");
            }
            ("auth_mechanism", "plain" | "PLAIN") => {}
            ("auth_mechanism", "external" | "EXTERNAL" | "amqplain" | "AMQPLAIN") => {}
            ("cacertfile", file) if for_tls => authorities = Some(file.to_owned()),
            // This is done anyway.
            ("verify", "verify_peer") | ("fail_if_no_peer_cert", _) if for_tls => {}
            ("server_name_indication", host) if for_tls && url.host_str() == Some(host) => {}
            ("verify", "verify_none") => {
                return refused("a certificate that nobody verifies protects nothing");
            }
            _ if SECURITY.iter().any(|word| plain.contains(word)) => {
                return refused(if for_tls {
                    "this part of the connection's security cannot be heeded here; leave it out"
                } else {
                    "amqp:// does not use TLS; write amqps://, and leave out what cannot be heeded"
                });
            }
            _ => ignored.push(shown),
        }
    }
    Ok((authorities, ignored))
}

/// Refuses a raw delimiter in the login or the virtual host: what follows it would be read as something else.
fn well_delimited(text: &str) -> Result<(), InvalidBrokerUrl> {
    let Some((_, rest)) = text.split_once("://") else { return Err(InvalidBrokerUrl::Malformed) };
    if rest.chars().any(char::is_control) {
        return Err(InvalidBrokerUrl::Malformed);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    let is_code = |code: &str| code.len() >= 2 && code.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if tail.contains('#') {
        Err(InvalidBrokerUrl::Raw('#'))
    } else if path.contains('@') {
        Err(InvalidBrokerUrl::Raw('/'))
    } else if query.contains('@') {
        Err(InvalidBrokerUrl::Raw('?'))
    } else if !login.split('%').skip(1).all(is_code) {
        Err(InvalidBrokerUrl::Raw('%'))
    } else {
        Ok(())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.uri;
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
        text.parse::<Uri>().unwrap().uri
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
            uri.uri.query.heartbeat
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
    fn what_is_about_security_and_cannot_be_heeded_is_refused_and_named() {
        for (query, named) in [
            ("verify=verify_none", "`verify`"),
            ("certfile=/c", "`certfile`"),
            ("keyfile=/k", "`keyfile`"),
            ("password=s3cret", "`password`"),
            ("server_name_indication=disable", "`server_name_indication`"),
            ("depth=3", "`depth`"),
            ("ssl=true", "`ssl`"),
            ("tls_verify=false", "`tls_verify`"),
            ("auth_mechanism=anonymous", "`auth_mechanism`"),
            ("heartbeat=soon", "`heartbeat`"),
            ("heartbeat=1&heartbeat=2", "`heartbeat`"),
        ] {
            let told =
                format!("amqps://shop:s3cret@rabbitmq/?{query}").parse::<Uri>().unwrap_err().to_string();
            assert!(told.starts_with(named) && !told.contains("s3cret"), "{query}: {told}");
        }
        for query in ["verify=verify_peer", "cacertfile=/ca", "ssl_options=none"] {
            assert!(format!("amqp://rabbitmq/?{query}").parse::<Uri>().is_err(), "{query}");
        }
        let uri: Uri =
            "amqps://rabbitmq?verify=verify_peer&cacertfile=/ca.pem&server_name_indication=rabbitmq&blocked=1"
                .parse()
                .unwrap();
        assert_eq!(
            (uri.authorities(), uri.ignored.as_slice()),
            (Some("/ca.pem"), ["blocked".to_owned()].as_slice())
        );
    }

    #[test]
    fn a_login_that_is_not_encoded_is_named_and_not_told() {
        for (login, raw) in
            [("shop:1/s3", '/'), ("shop:s/3", '/'), ("shop:1?s3", '?'), ("shop:1#s3", '#'), ("shop:s%3", '%')]
        {
            let uri = format!("amqp://{login}@rabbitmq/shop");
            assert_eq!(uri.parse::<Uri>(), Err(InvalidBrokerUrl::Raw(raw)), "{uri}");
        }
        assert_eq!(uri(" amqp://shop:s3cret@rabbitmq//\n").vhost, "/");
    }

    #[test]
    fn the_password_is_never_shown() {
        let uri = "amqp://shop:se%63ret@rabbitmq:5672//".parse::<Uri>().unwrap();
        let shown = format!("{uri} {uri:?} {:?}", "amqp://shop:secret@:x".parse::<Uri>());
        assert!(!shown.contains("secret") && !shown.contains("se%63ret"), "{shown}");
        assert_eq!(uri.to_string(), "amqp://shop:…@rabbitmq:5672 (vhost /)");
    }
}
