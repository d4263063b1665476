//! What a trusted proxy says about the visitor's side of the connection.
//!
//! A chain of proxies makes lists, to which each proxy adds at the end, so the first element is about the visitor.

use axum::http::HeaderMap;

/// What `X-Forwarded-*` says, or else `Forwarded` (RFC 7239).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'a> {
    /// `http` or `https`, in any case.
    pub(crate) proto: Option<&'a str>,
    /// The host that the visitor asked for, with or without a port.
    pub(crate) host: Option<&'a str>,
    /// The port that the visitor asked.
    pub(crate) port: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// Reads it from `headers`, if the proxy in front is trusted to have written them.
    pub(crate) fn read(headers: &'a HeaderMap, trust_proxy: bool) -> Self {
        if !trust_proxy {
            return Self::default();
        }
        Self {
            proto: first(headers, "x-forwarded-proto").or_else(|| standard(headers, "proto")),
            host: first(headers, "x-forwarded-host").or_else(|| standard(headers, "host")),
            port: first(headers, "x-forwarded-port"),
        }
    }

    /// Whether the visitor's side is known to be TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    }
}

/// The first element of a list, which may be spread over several headers.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).find(|element| !element.is_empty())
}

/// A parameter of the first element: `Forwarded: for=192.0.2.60;proto=https;host="shop.example:8443", …`.
fn standard<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    first(headers, "forwarded")?.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        key.trim().eq_ignore_ascii_case(name).then_some(value).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append::<axum::http::HeaderName>(name, value);
            headers
        })
    }

    #[test]
    fn the_first_element_of_a_list_is_about_the_visitor() {
        let chain = headers(&[
            ("x-forwarded-proto", "HTTPS,http"),
            ("x-forwarded-host", " , shop.example , web:8000"),
            ("x-forwarded-host", "other"),
            ("x-forwarded-port", "443, 80"),
        ]);
        let said = Forwarded::read(&chain, true);
        assert_eq!((said.host, said.port), (Some("shop.example"), Some("443")));
        assert!(said.is_secure());
        assert_eq!(Forwarded::read(&chain, false), Forwarded::default());
    }

    #[test]
    fn the_standards_header_is_read_where_the_customary_ones_are_not_there() {
        let standard = headers(&[(
            "forwarded",
            "for=\"[2001:db8::1]\";Proto=https;host=\"shop.example:8443\", host=web",
        )]);
        let said = Forwarded::read(&standard, true);
        assert_eq!(said, Forwarded { proto: Some("https"), host: Some("shop.example:8443"), port: None });
        let both =
            headers(&[("forwarded", "host=a"), ("x-forwarded-host", "b"), ("x-forwarded-proto", "http")]);
        let said = Forwarded::read(&both, true);
        assert_eq!((said.host, said.is_secure()), (Some("b"), false));
        assert_eq!(Forwarded::read(&headers(&[("forwarded", ";;=,")]), true), Forwarded::default());
    }
}
