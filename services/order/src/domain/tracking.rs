use std::str::FromStr;

use thiserror::Error;

/// A carrier's number of a parcel. It reaches mails and pages, so it holds nothing but letters, digits and simple punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackingNumber(String);

/// The text cannot be a tracking number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "A tracking number has 1 to {} letters of the Latin alphabet, digits, spaces or the characters - . / _.",
    TrackingNumber::LONGEST
)]
pub(crate) struct NotATrackingNumber;

impl TrackingNumber {
    /// The most characters.
    pub(crate) const LONGEST: usize = 64;

    /// The number as text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl FromStr for TrackingNumber {
    type Err = NotATrackingNumber;

    fn from_str(text: &str) -> Result<Self, NotATrackingNumber> {
        let text = text.trim();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b" -./_".contains(&byte);
        let is_one = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(fits);
        if is_one { Ok(Self(text.to_owned())) } else { Err(NotATrackingNumber) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracking_number_is_short_and_plain() {
        let read = |text: &str| text.parse().map(TrackingNumber::into_text);
        assert_eq!(read(" RB 123-456/789_CN. "), Ok("RB 123-456/789_CN.".to_owned()));
        let (longest, longer) = ("1".repeat(64), "1".repeat(65));
        assert_eq!(read(&longest), Ok(longest));
        for text in ["", "  ", "a\nb", "<b>", "№1", &longer] {
            assert_eq!(read(text), Err(NotATrackingNumber), "{text}");
        }
    }
}
