use std::str::FromStr;

use shop_client::parse_address;
use thiserror::Error;

/// Where traces can be looked at: an address with `{trace_id}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl(String);

/// The text is no [`TraceUrl`].
#[derive(Debug, Error)]
#[error("expected an address that begins with http:// or https:// and contains {{trace_id}}")]
pub struct NotATraceUrl;

const PLACE: &str = "{trace_id}";

impl FromStr for TraceUrl {
    type Err = NotATraceUrl;

    fn from_str(text: &str) -> Result<Self, NotATraceUrl> {
        let is_one = text.contains(PLACE) && parse_address(&text.replace(PLACE, "0")).is_ok();
        is_one.then(|| Self(text.to_owned())).ok_or(NotATraceUrl)
    }
}

impl TraceUrl {
    /// The address of a trace; `None` if `trace_id` is not the id of one (W3C Trace Context: 32 hexadecimal digits).
    pub(crate) fn of(&self, trace_id: &str) -> Option<String> {
        let is_id = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| self.0.replace(PLACE, trace_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_an_address_and_nothing_else_gets_into_it() {
        let url: TraceUrl = "http://localhost:16686/trace/{trace_id}".parse().unwrap();
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(url.of(id).unwrap(), format!("http://localhost:16686/trace/{id}"));
        for other in ["", "0af7", "../../../etc/passwd0000000000000", "javascript:alert(1)0000000000000"] {
            assert_eq!(url.of(other), None, "{other}");
        }
        for text in ["", "http://localhost:16686/trace/", "{trace_id}", "javascript:{trace_id}"] {
            assert!(text.parse::<TraceUrl>().is_err(), "{text}");
        }
    }
}
