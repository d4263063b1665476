use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The longest wait, in seconds.
const LONGEST: u32 = 30;

/// The preference `wait` of a request (RFC 7240, section 4.3): for how many seconds the client would like to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(u32);

impl Wait {
    /// What the response says that it applied.
    pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

    /// The first `wait` of all `Prefer` headers, at most 30 seconds. A preference that cannot be read is ignored, as the RFC requires
    /// for those that are not known.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).find_map(Self::read)
    }

    fn read(preference: &str) -> Option<Self> {
        let (preference, _parameters) = preference.split_once(';').unwrap_or((preference, ""));
        let (name, value) = preference.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let is_wait =
            name.trim().eq_ignore_ascii_case("wait") && value.bytes().all(|byte| byte.is_ascii_digit());
        is_wait.then_some(())?;
        // More digits than a number can have are a long wait too.
        (!value.is_empty()).then(|| Self(value.parse().unwrap_or(LONGEST).min(LONGEST)))
    }

    pub(super) fn time(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    pub(super) fn applied(self) -> HeaderValue {
        let mut value = "wait=".to_owned();
        value.push_str(&self.0.to_string());
        // Never the default: a number is visible ASCII.
        HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("wait"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wait_counts_and_is_bounded() {
        for (values, expected) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, WAIT = \"5\"; x=y"], Some(5)),
            (&["return=minimal", "wait=3, wait=9"], Some(3)),
            (&["wait=31"], Some(30)),
            (&["wait=99999999999999999999"], Some(30)),
            (&["wait=0"], Some(0)),
            (&["wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "waiting=1"], None),
            (&[], None),
        ] {
            let headers = values.iter().map(|value| (PREFER, value.parse().unwrap())).collect();
            assert_eq!(Wait::of(&headers), expected.map(Wait), "{values:?}");
        }
        assert_eq!(Wait(10).applied(), "wait=10");
    }
}
