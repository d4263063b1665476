use std::borrow::Cow;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};
use shop_core::password::{has_fitting_length, spelled};
use thiserror::Error;
use utoipa::ToSchema;

/// What somebody typed as a password. Never shown, wiped from memory after use.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "password", examples("password123"))]
pub(crate) struct Password(Spellings);

#[derive(Clone, Debug)]
struct Spellings {
    typed: SecretString,
    /// In RFC 8265's spelling; `None` if it was typed that way.
    spelled: Option<SecretString>,
}

/// A password that an account may have: 8 to 128 characters, without control characters, and more than white space.
/// Characters are counted, and the password is stored, in RFC 8265's spelling.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(try_from = "Password")]
#[schema(value_type = String, format = "password", min_length = 8, max_length = 128, examples("password123"))]
pub(crate) struct NewPassword(SecretString);

/// An account must not have this password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnacceptablePassword {
    #[error("a password must have 8 to 128 characters and no NUL")]
    Length,
    #[error("a password must not contain control characters, such as a tab or a line break")]
    Control,
    #[error("a password must contain more than white space")]
    Blank,
    #[error("this password is easy to guess; choose another one")]
    Common,
    #[error("a password must not be your own e-mail address or the shop's name; choose another one")]
    Personal,
}

impl Password {
    /// In RFC 8265's spelling, in which passwords are stored.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.spelled.as_ref().unwrap_or(&self.0.typed).expose_secret().as_bytes()
    }

    /// As it was typed, if that differs: passwords used to be stored that way.
    pub(super) fn typed_otherwise(&self) -> Option<&[u8]> {
        self.0.spelled.as_ref().map(|_| self.0.typed.expose_secret().as_bytes())
    }
}

impl NewPassword {
    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Password {
    fn from(typed: String) -> Self {
        let spelled = match spelled(&typed) {
            Cow::Owned(spelled) if spelled != typed => Some(spelled.into()),
            _ => None,
        };
        Self(Spellings { typed: typed.into(), spelled })
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl TryFrom<Password> for NewPassword {
    type Error = UnacceptablePassword;

    fn try_from(Password(password): Password) -> Result<Self, UnacceptablePassword> {
        let spelled = password.spelled.unwrap_or(password.typed);
        let text = spelled.expose_secret();
        // Characters, not bytes: a Russian passphrase is as long as an English one.
        if !has_fitting_length(text) || text.contains('\0') {
            Err(UnacceptablePassword::Length)
        } else if text.chars().all(is_blank) {
            Err(UnacceptablePassword::Blank)
        } else if text.chars().any(char::is_control) {
            Err(UnacceptablePassword::Control)
        } else {
            Ok(Self(spelled))
        }
    }
}

/// White space, or something that looks like it or is invisible.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
                ..='\u{180f}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

impl<'de> Deserialize<'de> for Password {
    /// Serde's own message would quote a value of the wrong type, and the value is a password.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text =
            String::deserialize(deserializer).map_err(|_| D::Error::custom("a password must be a string"))?;
        Ok(Self::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(text: &str) -> Result<NewPassword, UnacceptablePassword> {
        Password::from(text).try_into()
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(new("1234567").is_err());
        assert!(new("12345678").is_ok());
        assert!(new("пароль12").is_ok());
        assert!(new("пароль1").is_err());
        assert!(new(&"ы".repeat(128)).is_ok());
        assert!(new(&"x".repeat(129)).is_err());
        assert!(new(&"и\u{306}".repeat(128)).is_ok(), "й of two characters is one");
        assert!(new(&"и\u{306}".repeat(7)).is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(new("12345678\0").unwrap_err(), UnacceptablePassword::Length);
        for text in ["1234\t5678", "12345678\r\n", "1234\u{7f}5678", "1234\u{85}5678"] {
            assert_eq!(new(text).unwrap_err(), UnacceptablePassword::Control, "{text:?}");
        }
        assert!(new(" 12345678 ").is_ok_and(|password| password.text() == " 12345678 "));
    }

    #[test]
    fn what_looks_like_nothing_is_no_password() {
        for blank in
            [" ", "\t", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{2800}", "\u{3164}", " \u{200d}"]
        {
            assert_eq!(new(&blank.repeat(8)).unwrap_err(), UnacceptablePassword::Blank, "{blank:?}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_quotes_it() {
        for text in ["password123", "password\u{a0}123"] {
            assert!(!format!("{:?} {:?}", new(text).unwrap(), Password::from(text)).contains("123"));
        }
        let error = serde_json::from_str::<Password>("12345678").unwrap_err().to_string();
        assert!(!error.contains("12345678"), "{error}");
    }
}
