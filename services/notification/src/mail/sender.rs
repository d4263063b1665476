use std::{fmt, str::FromStr};

use lettre::message::Mailbox;
use shop_core::Email;
use thiserror::Error;

/// Who mails are from: an address, with or without a name.
#[derive(Clone)]
pub struct Sender {
    pub(super) mailbox: Mailbox,
    email: Email,
}

/// The text is not a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a sender is an address such as shop@example.com, or a name with it: Shop <shop@example.com>")]
pub struct InvalidSender;

impl Sender {
    /// The domain of the address, in ASCII. It is the right-hand side of the mails' Message-IDs.
    pub(super) fn domain(&self) -> &str {
        self.email.parts().1
    }
}

impl FromStr for Sender {
    type Err = InvalidSender;

    fn from_str(text: &str) -> Result<Self, InvalidSender> {
        let (name, address) = match text.trim().strip_suffix('>').map(|text| text.rsplit_once('<')) {
            Some(Some((name, address))) => (name.trim().trim_matches('"'), address),
            Some(None) => return Err(InvalidSender),
            None => ("", text),
        };
        if name.len() > 128 || name.contains(|c: char| c.is_control() || "<>\"\\".contains(c)) {
            return Err(InvalidSender);
        }
        let email: Email = address.parse().map_err(|_| InvalidSender)?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        let address = email.as_str().parse().map_err(|_| InvalidSender)?;
        Ok(Self { mailbox: Mailbox::new(name, address), email })
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for (text, shown) in [
            ("shop@example.com", "shop@example.com"),
            ("<shop@example.com>", "shop@example.com"),
            ("Shop <shop@example.com>", "Shop <shop@example.com>"),
            ("\"The Shop, Ltd.\" <shop@example.com>", "\"The Shop, Ltd.\" <shop@example.com>"),
            ("shop@почта.рф", "shop@xn--80a1acny.xn--p1ai"),
        ] {
            let sender: Sender = text.parse().unwrap();
            assert_eq!(format!("{sender:?}"), shown, "{text}");
        }
        let sender: Sender = "Магазин <shop@почта.рф>".parse().unwrap();
        assert_eq!(sender.domain(), "xn--80a1acny.xn--p1ai");
    }

    #[test]
    fn what_could_add_a_header_or_is_no_address_is_refused() {
        for text in [
            "",
            "shop",
            "Shop shop@example.com>",
            "Shop <shop>",
            "a\r\nBcc: b <shop@example.com>",
            "a<b <shop@example.com>",
        ] {
            assert!(text.parse::<Sender>().is_err(), "{text:?}");
        }
    }
}
