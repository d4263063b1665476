use chrono::{DateTime, Datelike as _, Utc};
use shop_core::{Currency, Email, Language, Money, OrderStatus};

use super::texts::Texts;
use crate::flash::Flash;

/// Keeps a number and its noun on one line.
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

/// The categories of the first products; any other is shown as it is.
const CATEGORIES: [(&str, &str, &str); 6] = [
    ("desk", "Рабочий стол", "Desk"),
    ("home", "Для дома", "Home"),
    ("kitchen", "Кухня", "Kitchen"),
    ("lighting", "Свет", "Lighting"),
    ("plants", "Растения", "Plants"),
    ("textiles", "Текстиль", "Textiles"),
];

impl Texts {
    /// `RUB 1,500.00`, `1 500,00 ₽`.
    pub(crate) fn money(&self, amount: &Money, currency: &Currency) -> String {
        amount.for_people(self.language, *currency)
    }

    /// An address as people write it. A masked one, which is not an address, stays as it is.
    pub(crate) fn email(&self, text: &str) -> String {
        text.parse::<Email>().map_or_else(|_| text.to_owned(), |email| email.for_people())
    }

    /// `23 ноября 2026, 14:05 UTC`.
    pub(crate) fn moment(&self, moment: &DateTime<Utc>) -> String {
        let month = self.language.choose(MONTHS_EN, MONTHS_RU)[moment.month0() as usize];
        format!("{} {month} {}, {} UTC", moment.day(), moment.year(), moment.format("%H:%M"))
    }

    /// `2 товара`, `5 items`.
    pub(crate) fn items(&self, count: &u32) -> String {
        self.counted(*count, ["товар", "товара", "товаров"], ["item", "items"])
    }

    /// `Осталось 3`, `Sold out`.
    pub(crate) fn stock(&self, left: &u32) -> String {
        match left {
            0 => self.sold_out.to_owned(),
            1..=5 => self.only_left.replace("{count}", &left.to_string()),
            _ => self.in_stock.to_owned(),
        }
    }

    /// The status, or what is said of one that only a newer order_service knows.
    pub(crate) fn status(&self, status: &Option<OrderStatus>) -> &'static str {
        match status {
            Some(OrderStatus::Pending) => self.status_pending,
            Some(OrderStatus::Confirmed) => self.status_confirmed,
            Some(OrderStatus::Shipped) => self.status_shipped,
            Some(OrderStatus::Delivered) => self.status_delivered,
            Some(OrderStatus::Cancelled) => self.status_cancelled,
            None => self.status_other,
        }
    }

    /// The end of the status's class.
    pub(crate) fn status_class(&self, status: &Option<OrderStatus>) -> &'static str {
        status.map_or("other", OrderStatus::as_str)
    }

    /// What the status means for the customer. Why an order was cancelled is told by its own words.
    pub(crate) fn status_explained(&self, status: &Option<OrderStatus>) -> &'static str {
        match status {
            Some(OrderStatus::Pending) => self.status_pending_explained,
            Some(OrderStatus::Confirmed) => self.status_confirmed_explained,
            Some(OrderStatus::Shipped) => self.status_shipped_explained,
            Some(OrderStatus::Delivered) => self.status_delivered_explained,
            Some(OrderStatus::Cancelled) => self.status_cancelled_explained,
            None => self.status_other_explained,
        }
    }

    pub(crate) fn category(&self, name: &str) -> String {
        let known = CATEGORIES.iter().find(|(key, ..)| *key == name);
        known.map_or(name, |(_, ru, en)| self.language.choose(en, ru)).to_owned()
    }

    pub(crate) fn flash(&self, flash: &Flash) -> &'static str {
        match flash {
            Flash::AddedToCart => self.flash_added,
            Flash::CartUpdated => self.flash_updated,
            Flash::RemovedFromCart => self.flash_removed,
            Flash::CartIsFull => self.flash_full,
            Flash::BadQuantity => self.flash_quantity,
            Flash::LoginNeeded => self.flash_login_needed,
            Flash::SessionEnded => self.flash_session_ended,
            Flash::LoggedIn => self.flash_logged_in,
            Flash::Registered => self.flash_registered,
            Flash::LoggedOut => self.flash_logged_out,
            Flash::OrderPlaced => self.flash_order_placed,
            Flash::OrderInProgress => self.flash_order_in_progress,
            Flash::OrderCancelled => self.flash_order_cancelled,
            Flash::TooLateToCancel => self.flash_too_late,
            Flash::LookAgain => self.flash_look_again,
        }
    }

    /// CLDR's plural rules for whole numbers.
    fn counted(&self, count: u32, ru: [&str; 3], en: [&str; 2]) -> String {
        let word = match self.language {
            Language::Russian => match (count % 10, count % 100) {
                (_, 11..=14) => ru[2],
                (1, _) => ru[0],
                (2..=4, _) => ru[1],
                _ => ru[2],
            },
            Language::English => en[usize::from(count != 1)],
        };
        format!("{count}{NBSP}{word}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RU: Language = Language::Russian;
    const EN: Language = Language::English;

    #[test]
    fn nouns_follow_the_plural_rules_of_the_language() {
        let ru: Vec<String> =
            [1, 2, 5, 11, 14, 21, 22, 25, 101, 112].iter().map(|n| Texts::of(RU).items(n)).collect();
        assert_eq!(
            ru.join(" ").replace('\u{a0}', " "),
            "1 товар 2 товара 5 товаров 11 товаров 14 товаров 21 товар 22 товара 25 товаров 101 товар 112 товаров"
        );
        assert_eq!(
            (Texts::of(EN).items(&1), Texts::of(EN).items(&21)),
            ("1\u{a0}item".into(), "21\u{a0}items".into())
        );
    }

    #[test]
    fn a_moment_is_written_out() {
        let moment = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(Texts::of(RU).moment(&moment), "14 ноября 2023, 22:13 UTC");
        assert_eq!(Texts::of(EN).moment(&moment), "14 November 2023, 22:13 UTC");
    }

    #[test]
    fn scarce_stock_is_counted() {
        assert_eq!(Texts::of(EN).stock(&0), "Sold out");
        assert_eq!(Texts::of(RU).stock(&3), "Осталось 3");
        assert_eq!(Texts::of(RU).stock(&6), "В наличии");
    }
}
