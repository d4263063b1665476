use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use utoipa::ToSchema;

use crate::Language;

/// A currency, by its code in ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Z]{3}$", examples("RUB"))]
pub struct Currency([u8; 3]);

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a currency is three capital letters such as RUB (ISO 4217)")]
pub struct InvalidCurrency;

impl Currency {
    /// The Russian rouble, the currency of the shop's first products.
    pub const RUB: Self = Self(*b"RUB");

    /// The code.
    pub fn as_str(&self) -> &str {
        // Never the default, because only ASCII letters are accepted.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How readers of `language` write it beside an amount: the customary sign if there is one, or else the code.
    pub(crate) fn sign(&self, language: Language) -> &str {
        match (language, self.as_str()) {
            (Language::Russian, "RUB") => "₽",
            (Language::Russian, "EUR") => "€",
            (Language::Russian, "USD") => "$",
            (_, code) => code,
        }
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code)).ok_or(InvalidCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        let rub: Currency = serde_json::from_str("\"RUB\"").unwrap();
        assert_eq!((rub, serde_json::to_string(&rub).unwrap()), (Currency::RUB, "\"RUB\"".to_owned()));
        for text in ["", "RU", "RUBL", "rub", "Rub", "R B", "₽", "12A"] {
            assert_eq!(text.parse::<Currency>(), Err(InvalidCurrency), "{text}");
        }
    }
}
