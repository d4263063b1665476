use std::{fmt, iter::Sum, ops::Add, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::{Currency, Language};

/// An amount in minor units (kopecks, cents), from 0 to [`Money::MAX`].
///
/// On the wire it is a JSON number with at most two decimals: `1500.00` and `1500.0` are the same amount.
/// It is never held in a float: the number's own text is read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why a text or a number is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidMoney {
    /// Below zero.
    #[error("an amount must not be negative")]
    Negative,
    /// More than [`Money::MAX`].
    #[error("an amount must be at most {}", Money::MAX)]
    TooLarge,
    /// A fraction of a minor unit.
    #[error("an amount has at most two decimals")]
    TooPrecise,
    /// Not a decimal number.
    #[error("an amount is a decimal number such as 1500.00")]
    NotANumber,
}

impl Money {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest amount: one minor unit less than 10 billion. It keeps every total of an order far from overflow,
    /// and every amount exact in a JavaScript number.
    pub const MAX: Self = Self(999_999_999_999);

    /// An amount of minor units.
    ///
    /// # Errors
    /// Outside 0 to [`Money::MAX`].
    pub fn from_minor(minor: i64) -> Result<Self, InvalidMoney> {
        match minor {
            ..0 => Err(InvalidMoney::Negative),
            0..=999_999_999_999 => Ok(Self(minor)),
            _ => Err(InvalidMoney::TooLarge),
        }
    }

    /// The amount in minor units: `1500.00` is 150000.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// This amount times `quantity`; `None` above [`Money::MAX`].
    pub fn checked_mul(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).and_then(|minor| Self::from_minor(minor).ok())
    }

    /// The sum; `None` above [`Money::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::from_minor(self.0 + other.0).ok()
    }

    /// Formats the amount for people: `RUB 1,500.00` in English, `1 500,00 ₽` in Russian (Unicode's CLDR). Its spaces are
    /// non-breaking, so that an amount stays on one line.
    pub fn for_people(self, language: Language, currency: Currency) -> String {
        let sign = currency.sign(language);
        let (whole, cents) = (self.0 / 100, self.0 % 100);
        match language {
            Language::English => format!("{sign}{NBSP}{}.{cents:02}", grouped(whole, ',')),
            Language::Russian => format!("{},{cents:02}{NBSP}{sign}", grouped(whole, NBSP)),
        }
    }
}

/// A non-breaking space.
const NBSP: char = '\u{a0}';

/// The digits of `number` in groups of three.
fn grouped(number: i64, separator: char) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

impl Add for Money {
    type Output = Self;

    /// Saturates at [`Money::MAX`]; where that would be wrong, use [`Money::checked_add`].
    fn add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(Self::MAX)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// Formats with two decimals, a point and no grouping: `1500.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Money {
    type Err = InvalidMoney;

    /// Reads the text of a JSON number (RFC 8259, section 6), exponent included, without going through a float.
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        if text.len() > 64 {
            return Err(InvalidMoney::NotANumber);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| InvalidMoney::NotANumber)?)
            }
            None => (text, 0),
        };
        let (mantissa, negative) = match mantissa.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (mantissa, false),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(InvalidMoney::NotANumber);
        }
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Self::ZERO);
        }
        if negative {
            return Err(InvalidMoney::Negative);
        }
        // How many zeros turn the digits into minor units; if negative, how many decimals are too many.
        let shift = i64::from(exponent) - fraction.len() as i64 + 2;
        let minor = if shift >= 0 {
            if shift > 12 || digits.len() > 12 {
                return Err(InvalidMoney::TooLarge);
            }
            format!("{digits}{}", "0".repeat(shift as usize))
        } else {
            let kept = digits.len() as i64 + shift;
            let (kept, dropped) = digits.split_at(kept.max(0) as usize);
            if dropped.bytes().any(|digit| digit != b'0') || kept.is_empty() {
                return Err(InvalidMoney::TooPrecise);
            }
            kept.to_owned()
        };
        minor.parse().map_err(|_| InvalidMoney::TooLarge).and_then(Self::from_minor)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::value::RawValue::from_string(self.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as 1500.00")
            }

            fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Money, E> {
                whole.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Money, E> {
                whole.to_string().parse().map_err(E::custom)
            }

            // A double's shortest text (Ryū) is the text that was sent, given the number of digits that an amount can have.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)))
            .description(Some("An amount of money with two decimals."))
            .minimum(Some(0.0))
            .maximum(Some(9_999_999_999.99))
            .multiple_of(Some(0.01))
            .examples([serde_json::json!(1500.00)])
            .into()
    }
}

impl ToSchema for Money {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wire_form_has_two_decimals() {
        assert_eq!(serde_json::to_string(&Money(150_000)).unwrap(), "1500.00");
        assert_eq!(serde_json::to_string(&Money(5)).unwrap(), "0.05");
    }

    #[test]
    fn every_spelling_of_a_number_is_read() {
        for text in ["1500", "1500.0", "1500.00", "1.5e3", "150000e-2", "1500.000"] {
            assert_eq!(text.parse(), Ok(Money(150_000)), "{text}");
            assert_eq!(serde_json::from_str::<Money>(text).unwrap(), Money(150_000), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for (text, why) in [
            ("-1", InvalidMoney::Negative),
            ("0.001", InvalidMoney::TooPrecise),
            ("1e-9", InvalidMoney::TooPrecise),
            ("10000000000", InvalidMoney::TooLarge),
            ("1e400", InvalidMoney::TooLarge),
            ("NaN", InvalidMoney::NotANumber),
            ("", InvalidMoney::NotANumber),
            (".5", InvalidMoney::NotANumber),
        ] {
            assert_eq!(text.parse::<Money>(), Err(why), "{text}");
        }
        assert!(serde_json::from_str::<Money>("\"5\"").is_err());
        assert!(serde_json::from_str::<Money>("1e309").is_err());
    }

    #[test]
    fn sums_stop_at_the_largest_amount() {
        assert_eq!(Money::MAX.checked_add(Money(1)), None);
        assert_eq!(Money::MAX.checked_mul(2), None);
        assert_eq!(Money(50_000).checked_mul(3), Some(Money(150_000)));
    }

    #[test]
    fn people_read_amounts_as_their_language_writes_them() {
        for (minor, english, russian) in [
            (0, "RUB\u{a0}0.00", "0,00\u{a0}₽"),
            (5, "RUB\u{a0}0.05", "0,05\u{a0}₽"),
            (50_007, "RUB\u{a0}500.07", "500,07\u{a0}₽"),
            (150_000, "RUB\u{a0}1,500.00", "1\u{a0}500,00\u{a0}₽"),
            (123_456_789, "RUB\u{a0}1,234,567.89", "1\u{a0}234\u{a0}567,89\u{a0}₽"),
        ] {
            assert_eq!(Money(minor).for_people(Language::English, Currency::RUB), english);
            assert_eq!(Money(minor).for_people(Language::Russian, Currency::RUB), russian);
        }
        let francs = "CHF".parse().unwrap();
        assert_eq!(Money(100).for_people(Language::Russian, francs), "1,00\u{a0}CHF");
        assert_eq!(Money(100).for_people(Language::English, "EUR".parse().unwrap()), "EUR\u{a0}1.00");
    }

    proptest! {
        #[test]
        fn any_amount_survives_the_wire(minor in 0..=Money::MAX.minor()) {
            let money = Money(minor);
            let wire = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&wire).unwrap(), money);
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = text.parse::<Money>();
        }
    }
}
