use std::error::Error;

use chrono::{DateTime, Utc};
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
};
use shop_core::Email;
use uuid::Uuid;

use super::sender::Sender;
use crate::words::Letter;

/// The mail about event `id`.
///
/// Its Message-ID is the event's, so a mail server or a reader recognises a mail that is sent a second time after a crash. Texts go through
/// lettre's encoders, which fold and encode whatever is not plain ASCII, so nothing in them can begin a header of its own.
///
/// # Errors
/// The address is one that lettre does not accept, or a page cannot be rendered.
pub(crate) fn compose(
    sender: &Sender,
    to: &Email,
    id: Uuid,
    now: DateTime<Utc>,
    letter: &Letter,
) -> Result<Message, Box<dyn Error + Send + Sync>> {
    let parts = MultiPart::alternative_plain_html(letter.text()?, letter.html()?);
    let mail = Message::builder()
        .from(sender.mailbox.clone())
        .to(Mailbox::new(None, to.as_str().parse()?))
        .subject(letter.subject.as_str())
        .date(now.into())
        .message_id(Some(format!("<{id}@{}>", sender.domain())))
        .header(AutoSubmitted)
        .multipart(parts)?;
    Ok(mail)
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no vacation notice is sent in return.
#[derive(Clone, Copy, Debug)]
struct AutoSubmitted;

impl AutoSubmitted {
    const VALUE: &str = "auto-generated";
}

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), Self::VALUE.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use shop_core::{Language, OrderId};

    use super::*;
    use crate::domain::{News, Notice};

    fn letter(language: Language, tracking_number: &str) -> Letter {
        let news = News::Shipped { tracking_number: Some(tracking_number.to_owned()) };
        Letter::about(&Notice {
            order_id: OrderId(Uuid::from_u128(0xabcd_ef12)),
            language,
            news,
            items: Vec::new(),
            total: None,
            link: None,
        })
    }

    fn mail(sender: &str, to: &str, letter: &Letter) -> Vec<u8> {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let (sender, to) = (sender.parse().unwrap(), to.parse().unwrap());
        compose(&sender, &to, Uuid::from_u128(7), now, letter).unwrap().formatted()
    }

    #[test]
    fn a_mail_is_ascii_with_short_lines_and_the_headers_of_an_automatic_one() {
        let bytes = mail("Магазин <shop@почта.рф>", "user@почта.рф", &letter(Language::Russian, "RA1"));
        assert!(bytes.is_ascii());
        assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998), "RFC 5322, section 2.1.1");
        let text = String::from_utf8(bytes.clone()).unwrap();
        let id = "Message-ID: <00000000-0000-0000-0000-000000000007@xn--80a1acny.xn--p1ai>\r\n";
        for header in [id, "Auto-Submitted: auto-generated\r\n", "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"]
        {
            assert!(text.contains(header), "{header} in {text}");
        }
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.subject(), Some("Заказ ABCDEF12 отправлен"));
        let from = parsed.from().unwrap().first().unwrap();
        assert_eq!((from.name(), from.address()), (Some("Магазин"), Some("shop@xn--80a1acny.xn--p1ai")));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("user@xn--80a1acny.xn--p1ai"));
        assert!(parsed.body_text(0).unwrap().contains("RA1") && parsed.body_html(0).unwrap().contains("RA1"));
    }

    #[test]
    fn words_from_elsewhere_can_add_no_header_and_no_markup() {
        let evil = "X\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script>\u{1b}[2J";
        let bytes = mail("shop@example.com", "user@example.com", &letter(Language::English, evil));
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert!(parsed.bcc().is_none());
        assert_eq!(parsed.parts.len(), 3, "the alternatives, and what holds them");
        let html = parsed.body_html(0).unwrap();
        assert!(html.contains("&#60;script&#62;") && !html.contains("<script"), "{html}");
        assert!(!parsed.body_text(0).unwrap().contains('\u{1b}'));
    }
}
