//! Where a form comes from, as the browser says: a second check beside the session's token.

use axum::http::{HeaderMap, header};
use url::{Host, Url};

use crate::forwarded::Forwarded;

/// What a request says about the page that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A page of this storefront. No other page can make a browser say so.
    Ours,
    /// It does not say: a program, an old browser, or a proxy that dropped the port.
    Unsaid,
    /// Somebody else's page.
    Foreign,
}

impl Source {
    /// By `Sec-Fetch-Site`, or else by comparing `Origin` with the host of the request.
    pub(crate) fn of(headers: &HeaderMap, trust_proxy: bool) -> Self {
        match only(headers, "sec-fetch-site") {
            Some("same-origin") => return Self::Ours,
            // The visitor did it, by a reload for example.
            Some("none") => return Self::Unsaid,
            Some(_) => return Self::Foreign,
            None => {}
        }
        let Some(origin) = only(headers, header::ORIGIN.as_str()) else { return Self::Unsaid };
        let forwarded = Forwarded::read(headers, trust_proxy);
        let asked = forwarded.host.or_else(|| only(headers, header::HOST.as_str())).and_then(Asked::read);
        match (Origin::read(origin), asked) {
            (Some(origin), Some(asked)) => origin.compared(&asked, &forwarded),
            _ => Self::Foreign,
        }
    }
}

/// The value of a header that may occur once; an empty one, which means nothing, if it occurs more often or cannot be read.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    Some(if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

/// A page's origin (RFC 6454), other than `null`.
struct Origin {
    is_secure: bool,
    host: Host,
    /// The one in the text, or else the scheme's default.
    port: u16,
    has_default_port: bool,
}

impl Origin {
    fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        Some(Self {
            is_secure: url.scheme() == "https",
            host: host(url.host_str()?)?,
            port: url.port_or_known_default()?,
            has_default_port: url.port().is_none(),
        })
    }

    fn compared(&self, asked: &Asked, forwarded: &Forwarded<'_>) -> Source {
        if self.host != asked.host || (forwarded.is_secure() && !self.is_secure) {
            return Source::Foreign;
        }
        let forwarded_port: Option<u16> = forwarded.port.and_then(|port| port.parse().ok());
        match (asked.port, forwarded_port) {
            (Some(port), _) if port == self.port => Source::Ours,
            (Some(_), _) => Source::Foreign,
            (None, Some(port)) if port == self.port => Source::Ours,
            // A proxy that names its own port, behind one on the scheme's default port.
            (None, Some(_)) if self.has_default_port => Source::Unsaid,
            (None, Some(_)) => Source::Foreign,
            (None, None) if self.has_default_port => Source::Ours,
            // A proxy that names the host without its port, as nginx's `$host` does: it may be our port or another.
            (None, None) => Source::Unsaid,
        }
    }
}

/// The host that the browser asked, as far as the request says.
struct Asked {
    host: Host,
    port: Option<u16>,
}

impl Asked {
    fn read(text: &str) -> Option<Self> {
        let is_port = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let (name, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address are in brackets.
            Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => {
                (name, Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        Some(Self { host: host(name)?, port })
    }
}

/// A host in one spelling: lower case, punycode, without a final dot.
fn host(text: &str) -> Option<Host> {
    Host::parse(text.strip_suffix('.').unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::Source::{Foreign, Ours, Unsaid};
    use super::*;

    fn source(pairs: &[(&str, &str)], trust_proxy: bool) -> Source {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        Source::of(&headers, trust_proxy)
    }

    #[test]
    fn an_origin_is_held_against_the_host_that_was_asked_for() {
        for (host, origin, expected) in [
            ("shop.example", "https://shop.example", Ours),
            ("shop.example", "http://shop.example", Ours),
            ("shop.example:443", "https://shop.example", Ours),
            ("shop.example:80", "http://shop.example", Ours),
            ("shop.example:80", "http://shop.example:80", Ours),
            ("shop.example:8080", "http://shop.example:8080", Ours),
            ("Shop.EXAMPLE:8080", "http://shop.example:8080", Ours),
            ("shop.example", "https://SHOP.example", Ours),
            ("shop.example.", "https://shop.example", Ours),
            ("shop.example.:8443", "https://shop.example.:8443", Ours),
            ("xn--80a1acny.xn--p1ai", "https://xn--80a1acny.xn--p1ai", Ours),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", Ours),
            ("[::1]:8080", "http://[::1]:8080", Ours),
            ("[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080", Ours),
            ("[2001:DB8::1]", "https://[2001:db8::1]", Ours),
            // nginx's `$host`
            ("shop.example", "http://shop.example:8080", Unsaid),
            ("[::1]", "http://[::1]:8080", Unsaid),
            ("shop.example:8080", "http://shop.example", Foreign),
            ("shop.example:8080", "http://shop.example:8081", Foreign),
            ("shop.example:443", "http://shop.example", Foreign),
            ("shop.example:80", "https://shop.example", Foreign),
            ("shop.example", "https://evil.example", Foreign),
            ("shop.example", "https://shop.example.evil.example", Foreign),
            ("shop.example", "https://evilshop.example", Foreign),
            ("shop.example", "https://sub.shop.example", Foreign),
            ("shop.example", "https://shop.example@evil.example", Foreign),
            ("shop.example", "https://evil@shop.example", Foreign),
            ("shop.example", "https://shop.example/path", Foreign),
            ("shop.example", "https://evil.example#shop.example", Foreign),
            ("shop.example", "ftp://shop.example", Foreign),
            ("shop.example", "null", Foreign),
            ("shop.example", "", Foreign),
            ("shop.example", "shop.example", Foreign),
            ("shop.example", "https://shop.example, https://evil.example", Foreign),
            ("[::1]:8080", "http://[::2]:8080", Foreign),
            ("", "https://shop.example", Foreign),
            ("evil@shop.example", "https://shop.example", Foreign),
            ("shop.example:x", "https://shop.example", Foreign),
            ("shop.example:99999", "https://shop.example", Foreign),
            ("::1", "http://[::1]", Foreign),
        ] {
            for trust_proxy in [false, true] {
                let said = source(&[("host", host), ("origin", origin)], trust_proxy);
                assert_eq!(said, expected, "{origin} at {host}");
            }
        }
        assert_eq!(source(&[("host", "shop.example")], false), Unsaid);
        let two = [("host", "a"), ("origin", "https://a"), ("origin", "https://a")];
        assert_eq!(source(&two, false), Foreign);
        assert_eq!(source(&[("origin", "https://shop.example")], false), Foreign, "no host at all");
    }

    #[test]
    fn a_trusted_proxy_says_which_host_was_asked_for_and_nobody_else() {
        for (forwarded, origin, expected) in [
            (&[("x-forwarded-host", "shop.example")][..], "https://shop.example", Ours),
            (&[("x-forwarded-host", "SHOP.example.")], "https://shop.example", Ours),
            (&[("x-forwarded-host", "shop.example, shop.example")], "https://shop.example", Ours),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-host", "web:8000")],
                "https://shop.example",
                Ours,
            ),
            (&[("x-forwarded-host", "shop.example:443")], "https://shop.example", Ours),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-port", "443")],
                "https://shop.example",
                Ours,
            ),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-port", "8443, 80")],
                "https://shop.example:8443",
                Ours,
            ),
            (
                &[("x-forwarded-host", "shop.example:8443"), ("x-forwarded-port", "80")],
                "https://shop.example:8443",
                Ours,
            ),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-proto", "https,http")],
                "https://shop.example",
                Ours,
            ),
            (&[("x-forwarded-host", "[2001:db8::1]:8443")], "https://[2001:db8::1]:8443", Ours),
            (
                &[("forwarded", "for=192.0.2.1;host=\"shop.example:8443\";proto=https")],
                "https://shop.example:8443",
                Ours,
            ),
            // A proxy behind another, with a port of its own.
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-port", "8080")],
                "https://shop.example",
                Unsaid,
            ),
            (&[("x-forwarded-host", "shop.example")], "https://shop.example:8443", Unsaid),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-port", "443")],
                "https://shop.example:8443",
                Foreign,
            ),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-proto", "https")],
                "http://shop.example",
                Foreign,
            ),
            (&[("x-forwarded-host", "shop.example, evil.example")], "https://evil.example", Foreign),
            (&[("x-forwarded-host", "shop.example")], "https://evil.example", Foreign),
            (&[("x-forwarded-host", "shop.example")], "http://web:8000", Foreign),
            (&[("x-forwarded-host", "shop.example")], "null", Foreign),
            (&[("x-forwarded-port", "8443")], "http://web:8443", Foreign),
        ] {
            let request = [&[("host", "web:8000"), ("origin", origin)], forwarded].concat();
            assert_eq!(source(&request, true), expected, "{origin} by {forwarded:?}");
            let expected = if origin == "http://web:8000" { Ours } else { Foreign };
            assert_eq!(source(&request, false), expected, "{origin} by {forwarded:?}, not trusted");
        }
    }

    #[test]
    fn what_the_browser_knows_itself_comes_first() {
        let host = ("host", "shop.example");
        let foreign = ("origin", "https://evil.example");
        for (site, expected) in [
            ("same-origin", Ours),
            ("none", Unsaid),
            ("same-site", Foreign),
            ("cross-site", Foreign),
            ("", Foreign),
            ("Same-Origin", Foreign),
        ] {
            assert_eq!(source(&[host, foreign, ("sec-fetch-site", site)], false), expected, "{site}");
            let own = ("origin", "https://shop.example");
            assert_eq!(source(&[host, own, ("sec-fetch-site", site)], true), expected, "{site}");
        }
        assert_eq!(source(&[host, ("sec-fetch-site", "same-origin"), ("origin", "null")], false), Ours);
        let two = [host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")];
        assert_eq!(source(&two, false), Foreign);
    }
}
