use chrono::{DateTime, Datelike as _, Utc};
use shop_core::{Money, OrderStatus};

use super::Lang;
use crate::session::Flash;

/// Keeps a number and its unit on one line.
const NBSP: char = '\u{a0}';

const MONTHS_RU: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The categories that the catalog is seeded with; any other is shown as it is.
const CATEGORIES: [(&str, &str, &str); 6] = [
    ("desk", "Рабочий стол", "Desk"),
    ("home", "Для дома", "Home"),
    ("kitchen", "Кухня", "Kitchen"),
    ("lighting", "Свет", "Lighting"),
    ("plants", "Растения", "Plants"),
    ("textiles", "Текстиль", "Textiles"),
];

impl Lang {
    /// `1 500,00 ₽` or `RUB 1,500.00`; spaces do not break.
    pub(crate) fn money(self, amount: &Money, currency: &str) -> String {
        let (whole, cents) = (amount.minor() / 100, amount.minor() % 100);
        match self {
            Self::Ru => {
                let sign = match currency {
                    "RUB" => "₽",
                    "EUR" => "€",
                    "USD" => "$",
                    other => other,
                };
                format!("{},{cents:02}{NBSP}{sign}", grouped(whole, NBSP))
            }
            Self::En => format!("{currency}{NBSP}{}.{cents:02}", grouped(whole, ',')),
        }
    }

    /// `23 ноября 2026, 14:05 UTC`.
    pub(crate) fn moment(self, moment: &DateTime<Utc>) -> String {
        let month = moment.month0() as usize;
        let month = match self {
            Self::Ru => MONTHS_RU[month],
            Self::En => MONTHS_EN[month],
        };
        format!("{} {month} {}, {} UTC", moment.day(), moment.year(), moment.format("%H:%M"))
    }

    /// `2 товара`, `5 items`.
    pub(crate) fn items(self, count: &u32) -> String {
        self.counted(*count, ["товар", "товара", "товаров"], ["item", "items"])
    }

    /// `Осталось 3`, `Sold out`.
    pub(crate) fn stock(self, left: &i64) -> String {
        let t = self.texts();
        match left {
            ..=0 => t.sold_out.to_owned(),
            1..=5 => t.only_left.replace("{count}", &left.to_string()),
            _ => t.in_stock.to_owned(),
        }
    }

    pub(crate) fn status(self, status: &OrderStatus) -> &'static str {
        let t = self.texts();
        match status {
            OrderStatus::Pending => t.status_pending,
            OrderStatus::Confirmed => t.status_confirmed,
            OrderStatus::Cancelled => t.status_cancelled,
        }
    }

    /// What the status means for the customer.
    pub(crate) fn status_explained(self, status: &OrderStatus) -> &'static str {
        let t = self.texts();
        match status {
            OrderStatus::Pending => t.status_pending_explained,
            OrderStatus::Confirmed => t.status_confirmed_explained,
            OrderStatus::Cancelled => t.status_cancelled_explained,
        }
    }

    pub(crate) fn category(self, name: &str) -> String {
        let known = CATEGORIES.iter().find(|(key, ..)| *key == name);
        match (known, self) {
            (Some((_, ru, _)), Self::Ru) => (*ru).to_owned(),
            (Some((_, _, en)), Self::En) => (*en).to_owned(),
            (None, _) => name.to_owned(),
        }
    }

    pub(crate) fn flash(self, flash: &Flash) -> &'static str {
        let t = self.texts();
        match flash {
            Flash::AddedToCart => t.flash_added,
            Flash::CartUpdated => t.flash_updated,
            Flash::RemovedFromCart => t.flash_removed,
            Flash::CartIsFull => t.flash_full,
            Flash::BadQuantity => t.flash_quantity,
            Flash::LoginNeeded => t.flash_login_needed,
            Flash::SessionEnded => t.flash_session_ended,
            Flash::LoggedIn => t.flash_logged_in,
            Flash::Registered => t.flash_registered,
            Flash::LoggedOut => t.flash_logged_out,
            Flash::OrderPlaced => t.flash_order_placed,
            Flash::OrderInProgress => t.flash_order_in_progress,
            Flash::OrderCancelled => t.flash_order_cancelled,
            Flash::TooLateToCancel => t.flash_too_late,
            Flash::LookAgain => t.flash_look_again,
        }
    }

    /// CLDR's plural rules for whole numbers.
    fn counted(self, count: u32, ru: [&str; 3], en: [&str; 2]) -> String {
        let word = match self {
            Self::Ru => match (count % 10, count % 100) {
                (_, 11..=14) => ru[2],
                (1, _) => ru[0],
                (2..=4, _) => ru[1],
                _ => ru[2],
            },
            Self::En => en[usize::from(count != 1)],
        };
        format!("{count}{NBSP}{word}")
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_look_as_the_language_writes_them() {
        let price = |minor| Money::from_minor(minor).unwrap();
        for (minor, ru, en) in [
            (0, "0,00\u{a0}₽", "RUB\u{a0}0.00"),
            (50_007, "500,07\u{a0}₽", "RUB\u{a0}500.07"),
            (150_000, "1\u{a0}500,00\u{a0}₽", "RUB\u{a0}1,500.00"),
            (123_456_789, "1\u{a0}234\u{a0}567,89\u{a0}₽", "RUB\u{a0}1,234,567.89"),
        ] {
            assert_eq!(Lang::Ru.money(&price(minor), "RUB"), ru);
            assert_eq!(Lang::En.money(&price(minor), "RUB"), en);
        }
        assert_eq!(Lang::Ru.money(&price(100), "CHF"), "1,00\u{a0}CHF");
    }

    #[test]
    fn things_are_counted_as_the_language_counts() {
        let ru: Vec<String> =
            [1, 2, 5, 11, 14, 21, 22, 25, 101, 112].iter().map(|n| Lang::Ru.items(n)).collect();
        assert_eq!(
            ru.join(" ").replace('\u{a0}', " "),
            "1 товар 2 товара 5 товаров 11 товаров 14 товаров 21 товар 22 товара 25 товаров 101 товар 112 товаров"
        );
        assert_eq!((Lang::En.items(&1), Lang::En.items(&21)), ("1\u{a0}item".into(), "21\u{a0}items".into()));
    }

    #[test]
    fn a_moment_is_written_out() {
        let moment = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(Lang::Ru.moment(&moment), "14 ноября 2023, 22:13 UTC");
        assert_eq!(Lang::En.moment(&moment), "14 November 2023, 22:13 UTC");
    }

    #[test]
    fn scarce_stock_is_said() {
        assert_eq!(Lang::En.stock(&0), "Sold out");
        assert_eq!(Lang::Ru.stock(&3), "Осталось 3");
        assert_eq!(Lang::Ru.stock(&6), "В наличии");
    }
}
