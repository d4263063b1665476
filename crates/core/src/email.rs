use std::{fmt, str::FromStr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// An e-mail address, normalised: trimmed, in lower case, its domain in ASCII.
///
/// The accepted form is that of HTML's `<input type=email>` (a willful violation of RFC 5322 that every browser
/// shares), with a dot in the domain, and at most RFC 5321's 254 octets. The local part must be ASCII: mail to any other needs
/// SMTPUTF8 (RFC 6531) on every hop.
///
/// The domain may be written in any script. UTS 46 turns `почта.рф` into `xn--80a1acny.xn--p1ai`, the form that DNS uses and that
/// browsers send, so both spellings are the same address: it is stored, compared and sent in ASCII, and shown to people by
/// [`Email::for_people`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = "email", max_length = 254, examples("user@example.com"))]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an e-mail address looks like user@example.com: Latin letters, digits and signs before the @, a domain name after it, \
     and at most 254 characters"
)]
pub struct InvalidEmail;

/// The longest address, in octets of its ASCII form.
const LONGEST: usize = 254;

/// The longest text that is parsed, in bytes: an address in any script, with spaces around it.
const LONGEST_TEXT: usize = 1024;

impl Email {
    /// The normalised address, for storing, comparing and sending.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with its domain in its own script. A label that mixes scripts stays in ASCII, because it may imitate
    /// another one.
    pub fn for_people(&self) -> String {
        let (local, domain) = self.parts();
        let (shown, valid) = Uts46::new().to_user_interface(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            |label, _, _| !mixes_scripts(label),
        );
        if valid.is_ok() { format!("{local}@{shown}") } else { self.0.clone() }
    }

    /// Reads an address from the database, which may be older than a rule of [`Email::from_str`].
    ///
    /// # Errors
    /// It does not even have the form of an address.
    pub fn from_stored(text: &str) -> Result<Self, InvalidEmail> {
        text.parse().or_else(|_| {
            let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
            let is_fine = text.len() <= LONGEST && is_local_part(local) && is_host_name(domain);
            is_fine.then(|| Self(text.to_ascii_lowercase())).ok_or(InvalidEmail)
        })
    }

    /// The parts before and after the `@`.
    pub fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or_default()
    }
}

fn is_local_part(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&c))
}

fn is_host_name(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Whether a label mixes two of the scripts whose letters look alike.
fn mixes_scripts(label: &[char]) -> bool {
    let has = |script: fn(&char) -> bool| usize::from(label.iter().any(script));
    let latin = has(|c| {
        c.is_ascii_alphabetic() || ('\u{c0}'..='\u{24f}').contains(c) || ('\u{1e00}'..='\u{1eff}').contains(c)
    });
    let greek = has(|c| ('\u{370}'..='\u{3ff}').contains(c) || ('\u{1f00}'..='\u{1fff}').contains(c));
    let cyrillic = has(|c| ('\u{400}'..='\u{52f}').contains(c) || ('\u{a640}'..='\u{a69f}').contains(c));
    let armenian = has(|c| ('\u{530}'..='\u{58f}').contains(c));
    latin + greek + cyrillic + armenian > 1
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT {
            return Err(InvalidEmail);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let domain = Uts46::new()
            .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| InvalidEmail)?;
        let is_fine =
            is_local_part(local) && is_host_name(&domain) && local.len() + 1 + domain.len() <= LONGEST;
        is_fine.then(|| Self(format!("{local}@{domain}").to_ascii_lowercase())).ok_or(InvalidEmail)
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    /// Hides the local part: an address is personal data, and `Debug` ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email(…@{})", self.parts().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_lowered() {
        assert_eq!(
            "  User.Name+tag@Example.COM ".parse::<Email>().unwrap().as_str(),
            "user.name+tag@example.com"
        );
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "@",
            "a@b",
            "a b@example.com",
            "a@-b.com",
            "a@b..com",
            "a\0@example.com",
            "ы@example.com",
            &long,
            // At most: a domain of 63-octet labels in ASCII, and an address of 254.
            &format!("a@{}.example", "ы".repeat(60)),
            &format!("{}@{}.com", "a".repeat(60), vec!["ы".repeat(20); 9].join(".")),
            &format!("a@{}.com", "a.".repeat(600)),
            // Punycode that decodes to nothing, to what UTS 46 forbids or writes differently, or to plain ASCII.
            "a@xn--a.com",
            "a@xn--.com",
            "a@xn--zn7c.com",
            "a@xn--a-ecp.ru",
            // A misplaced joiner, a mark at the beginning, right-to-left beside left-to-right.
            "a@b\u{200c}c.com",
            "a@\u{301}b.com",
            "a@bא.com",
            "a@почта..рф",
            "a@-почта.рф",
            "a@поч та.рф",
            "a@почта_1.рф",
            "a@почта",
            "a@почта.рф.",
            "почта@почта.рф",
        ] {
            assert_eq!(text.parse::<Email>(), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn a_domain_is_one_in_every_spelling() {
        for (domain, ascii) in [
            ("почта.рф", "xn--80a1acny.xn--p1ai"),
            ("ПОЧТА.РФ", "xn--80a1acny.xn--p1ai"),
            ("почта。рф", "xn--80a1acny.xn--p1ai"),
            ("XN--80A1ACNY.xn--p1ai", "xn--80a1acny.xn--p1ai"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("ｅｘａｍｐｌｅ.com", "example.com"),
            ("straße.de", "xn--strae-oqa.de"),
            ("ab--cd.example", "ab--cd.example"),
        ] {
            let email: Email = format!("User@{domain}").parse().unwrap();
            assert_eq!(email.as_str(), format!("user@{ascii}"), "{domain}");
            assert_eq!(email.as_str().parse(), Ok(email.clone()), "{domain}");
            assert_eq!(email.for_people().parse(), Ok(email), "{domain}");
        }
    }

    #[test]
    fn people_see_the_domain_as_they_write_it() {
        let shown = |text: &str| text.parse::<Email>().unwrap().for_people();
        assert_eq!(shown("user@xn--80a1acny.xn--p1ai"), "user@почта.рф");
        assert_eq!(shown("user@xn--bcher-kva.example"), "user@bücher.example");
        assert_eq!(shown("user@example.com"), "user@example.com");
        // A Cyrillic `а` among Latin letters.
        assert_eq!(shown("user@p\u{430}ypal.com"), "user@xn--pypal-4ve.com");
    }

    #[test]
    fn what_was_stored_before_idn_was_looked_at_is_still_read() {
        let old = Email::from_stored("user@xn--a.com").unwrap();
        assert_eq!((old.as_str(), old.for_people().as_str()), ("user@xn--a.com", "user@xn--a.com"));
        assert!(Email::from_stored("user@почта.рф").is_ok_and(|email| email.as_str().is_ascii()));
        assert_eq!(Email::from_stored("nobody"), Err(InvalidEmail));
    }

    #[test]
    fn debug_hides_the_person() {
        assert_eq!(format!("{:?}", "user@example.com".parse::<Email>().unwrap()), "Email(…@example.com)");
    }
}
