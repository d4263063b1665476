use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};
use thiserror::Error;
use utoipa::ToSchema;

/// What somebody typed as a password. Never shown, wiped from memory after use.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "password", examples("password123"))]
pub(crate) struct Password(SecretString);

/// A password that an account may have: 8 to 128 characters, any but NUL.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(try_from = "Password")]
#[schema(value_type = String, format = "password", min_length = 8, max_length = 128, examples("password123"))]
pub(crate) struct NewPassword(Password);

/// The password cannot be an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a password has 8 to 128 characters, and no NUL among them")]
pub(crate) struct UnacceptablePassword;

impl Password {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl NewPassword {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl TryFrom<Password> for NewPassword {
    type Error = UnacceptablePassword;

    fn try_from(password: Password) -> Result<Self, UnacceptablePassword> {
        let text = password.0.expose_secret();
        // Characters, not bytes: a Russian passphrase is as long as an English one.
        let acceptable = (8..=128).contains(&text.chars().count()) && !text.contains('\0');
        acceptable.then_some(Self(password)).ok_or(UnacceptablePassword)
    }
}

impl<'de> Deserialize<'de> for Password {
    /// Serde's own message would quote a value of the wrong type, and the value is somebody's password.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text =
            String::deserialize(deserializer).map_err(|_| D::Error::custom("a password is a string"))?;
        Ok(Self(text.into()))
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
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(new("12345678\0").unwrap_err(), UnacceptablePassword);
    }

    #[test]
    fn neither_debug_nor_an_error_quotes_it() {
        assert!(!format!("{:?}", new("password123").unwrap()).contains("password123"));
        let error = serde_json::from_str::<Password>("12345678").unwrap_err().to_string();
        assert!(!error.contains("12345678"), "{error}");
    }
}
