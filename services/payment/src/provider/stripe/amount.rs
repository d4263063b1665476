//! Amounts as Stripe counts them (<https://docs.stripe.com/currencies>).

use shop_core::{Currency, Language, Money};

/// An amount as Stripe takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    /// In the currency's smallest unit.
    Units(i64),
    /// Nothing is to be charged.
    Free,
    /// Stripe does not charge this amount; the reason is for people to read.
    Not(String),
}

/// Currencies without a smaller unit. Stripe counts them in whole ones, the shop in hundredths.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// Without a smaller unit either, but for the sake of old callers Stripe counts them in hundredths, which must be whole.
const WHOLE_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// Currencies with thousandths, of which the last digit must be zero.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// The smallest amounts, in hundredths, for cards and accounts that settle in the same currency. Stripe knows more, and refuses by itself.
const MINIMUMS: [(&str, i64); 24] = [
    ("AED", 200),
    ("AUD", 50),
    ("BGN", 100),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("CZK", 1500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17_500),
    ("INR", 50),
    ("JPY", 5000),
    ("MXN", 1000),
    ("MYR", 200),
    ("NOK", 300),
    ("NZD", 50),
    ("PLN", 200),
    ("RON", 200),
    ("SEK", 300),
    ("SGD", 50),
    ("THB", 1000),
    ("USD", 50),
];

/// The largest amount has eight digits.
const MOST_UNITS: i64 = 99_999_999;

/// `amount` as Stripe takes it.
pub(super) fn of(amount: Money, currency: Currency) -> Charged {
    let (minor, code) = (amount.minor(), currency.as_str());
    if minor == 0 {
        return Charged::Free;
    }
    let minimum = MINIMUMS.iter().find(|(of, _)| *of == code).map(|(_, minimum)| *minimum);
    if let Some(minimum) = minimum.filter(|minimum| minor < *minimum) {
        let minimum = Money::from_minor(minimum).unwrap_or_default();
        let minimum = minimum.for_people(Language::English, currency);
        return Charged::Not(format!("The smallest amount that can be paid is {minimum}."));
    }
    let is_whole = ZERO_DECIMAL.contains(&code);
    let units = if is_whole {
        minor / 100
    } else if THREE_DECIMAL.contains(&code) {
        minor * 10
    } else {
        minor
    };
    if (is_whole || WHOLE_HUNDREDTHS.contains(&code)) && minor % 100 != 0 {
        return Charged::Not(format!("There are only whole amounts in {code}."));
    }
    if units > MOST_UNITS {
        return Charged::Not("The amount is larger than what can be paid at once.".to_owned());
    }
    Charged::Units(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(minor: i64, code: &str) -> Charged {
        of(Money::from_minor(minor).unwrap(), code.parse().unwrap())
    }

    #[test]
    fn each_currency_is_counted_as_stripe_counts_it() {
        assert_eq!(charged(150_000, "RUB"), Charged::Units(150_000));
        assert_eq!(charged(150_000, "USD"), Charged::Units(150_000));
        assert_eq!(charged(150_000, "JPY"), Charged::Units(1500));
        assert_eq!(charged(150_000, "XPF"), Charged::Units(1500));
        assert_eq!(charged(150_000, "KWD"), Charged::Units(1_500_000));
        assert_eq!(charged(150_000, "ISK"), Charged::Units(150_000));
        assert_eq!(charged(0, "USD"), Charged::Free);
    }

    #[test]
    fn what_stripe_does_not_charge_has_a_reason() {
        let reason = |minor, code| match charged(minor, code) {
            Charged::Not(reason) => reason.replace('\u{a0}', " "),
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(49, "USD"), "The smallest amount that can be paid is USD 0.50.");
        assert_eq!(charged(50, "USD"), Charged::Units(50));
        assert_eq!(reason(4900, "JPY"), "The smallest amount that can be paid is JPY 50.00.");
        assert_eq!(reason(150_050, "JPY"), "There are only whole amounts in JPY.");
        assert_eq!(reason(150_050, "ISK"), "There are only whole amounts in ISK.");
        assert!(reason(10_000_000_000, "USD").contains("larger"));
    }
}
