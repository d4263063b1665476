//! What a request must satisfy before it is handled: RFC 9112, section 3.2.

use std::net::{Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::{HeaderMap, HeaderValue, Version, header};

use super::{
    Problem,
    refusal::{self, LONGEST_URI},
};

/// Why `request` must not be handled. A request without a connection, in a test, is not checked.
pub(super) fn flaw(request: &Request) -> Option<Problem> {
    request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let uri = request.uri();
    let problem = if uri.path().len() + uri.query().map_or(0, str::len) > LONGEST_URI {
        refusal::uri_too_long()
    } else {
        Problem::bad_request(flaw_of_host(request.version(), request.headers())?)
    };
    // A client that frames one request wrongly may do so with the next one.
    Some(problem.header(header::CONNECTION, HeaderValue::from_static("close")))
}

fn flaw_of_host(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => (version > Version::HTTP_10).then_some("The request has no Host."),
        (Some(_), Some(_)) => Some("The request has more than one Host."),
        (Some(host), None) => (!is_host(host.as_bytes())).then_some("The request's Host is malformed."),
    }
}

/// `uri-host [":" port]`, as RFC 3986 has it.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (is_known, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return false,
        Some(Some((ip, rest))) => (ip.parse::<Ipv6Addr>().is_ok(), rest),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
            (!name.is_empty() && name.bytes().all(is_of_name), port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.is_empty()
                || digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    };
    is_known && port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "shop.example",
            "shop.example:8080",
            "auth_service:8000",
            "localhost:",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::1]:443",
            "xn--e1afmkfd.example",
            "shop.example.",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "shop example",
            "user@shop.example",
            "shop.example:http",
            "shop.example:65536",
            "shop.example:+80",
            "shop.example/",
            "[::1",
            "[::1]80",
            "[shop]",
            "a, b",
            "почта.example",
            "http://shop.example",
            "::1",
            "a:1:2",
            "a\\b",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn one_host_is_needed_but_by_http_1_0() {
        let flaw = |version, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            flaw_of_host(version, &headers)
        };
        assert_eq!(flaw(Version::HTTP_11, &["shop"]), None);
        assert_eq!(flaw(Version::HTTP_10, &[]), None);
        assert_eq!(flaw(Version::HTTP_11, &[]), Some("The request has no Host."));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(flaw(version, &["shop", "shop"]), Some("The request has more than one Host."));
            assert_eq!(flaw(version, &["shop/"]), Some("The request's Host is malformed."));
        }
    }
}
