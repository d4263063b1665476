//! The mails as customers get them. A changed word changes a file in `snapshots`, which is committed with the change.

use shop_core::{
    Currency, Language, Money, OrderId, ProductId,
    events::{CancellationCode, OrderedItem},
};
use uuid::Uuid;

use super::Letter;
use crate::domain::{News, Notice};

fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

fn item(product: i64, name: &str, quantity: u32, price: i64) -> OrderedItem {
    OrderedItem { product_id: ProductId(product), quantity, price: money(price), name: name.to_owned() }
}

fn letter(language: Language, news: News) -> Letter {
    let shows_lines = matches!(news, News::Received | News::Confirmed);
    let items = vec![
        item(1, "Лампа «Дуга» & <co>", 2, 50_000),
        // An event from before names were in it.
        item(17, "", 1, 150_000),
    ];
    Letter::about(&Notice {
        order_id: OrderId(Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_abcd_ef12)),
        language,
        items: if shows_lines { items } else { Vec::new() },
        total: Some((money(250_000), Currency::RUB)),
        link: Some(
            "https://shop.example/orders/0198c0de-0000-7000-8000-0000abcdef12?token=t0ken".parse().unwrap(),
        ),
        news,
    })
}

fn all() -> Vec<News> {
    let cancelled = |code, was_confirmed| News::Cancelled { code, was_confirmed };
    vec![
        News::Received,
        News::Confirmed,
        cancelled(CancellationCode::ByCustomer, false),
        cancelled(CancellationCode::ByCustomer, true),
        cancelled(CancellationCode::ByShop, true),
        cancelled(CancellationCode::OutOfStock, false),
        cancelled(CancellationCode::PaymentDeclined, false),
        cancelled(CancellationCode::PaymentUnavailable, false),
        cancelled(CancellationCode::TimedOut, false),
        cancelled(CancellationCode::Unspecified, false),
        News::Shipped { tracking_number: Some("RA123456789RU".to_owned()) },
        News::Shipped { tracking_number: None },
        News::Delivered,
        News::Refunded(money(250_000), Currency::RUB),
    ]
}

fn texts(language: Language) -> String {
    let mail = |news| {
        let letter = letter(language, news);
        format!("Subject: {}\n\n{}", letter.subject, letter.text().unwrap())
    };
    all().into_iter().map(mail).collect::<Vec<_>>().join("\n==========\n")
}

#[test]
fn texts_in_english() {
    insta::assert_snapshot!(texts(Language::English));
}

#[test]
fn texts_in_russian() {
    insta::assert_snapshot!(texts(Language::Russian));
}

#[test]
fn html_in_english() {
    insta::assert_snapshot!(letter(Language::English, News::Received).html().unwrap());
}

#[test]
fn html_in_russian() {
    insta::assert_snapshot!(letter(Language::Russian, News::Confirmed).html().unwrap());
}

#[test]
fn messages_for_chats() {
    let chats = [Language::English, Language::Russian]
        .map(|language| letter(language, News::Shipped { tracking_number: Some("RA1".to_owned()) }).chat());
    insta::assert_snapshot!(chats.join("\n==========\n"));
}

#[test]
fn every_mail_says_the_same_as_html_and_as_text() {
    for language in [Language::English, Language::Russian] {
        for news in all() {
            let letter = letter(language, news);
            let (text, html) = (letter.text().unwrap(), letter.html().unwrap());
            assert!(!html.contains("<img") && !html.contains("<script"), "{html}");
            for paragraph in text.lines().take_while(|line| !line.starts_with("-- ")) {
                if !paragraph.contains(['&', '<', '×', ':']) {
                    assert!(html.contains(paragraph), "{paragraph} in {html}");
                }
            }
        }
    }
}
