//! What becomes of the message about a new order, and which chats get news.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    shop::ShopState,
    street::{Bot, CHAT, PATIENCE, Street, config},
};

/// Waits for the shop: the Bot API notices only what is said to it.
async fn until(street: &Street, what: impl Fn(&ShopState) -> bool) {
    let waiting = async {
        while !what(&street.shop.state()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it happens");
}

async fn followed(street: &Street, count: usize) {
    until(street, |shop| shop.followed == count).await;
}

#[tokio::test]
async fn the_message_about_a_new_order_shows_what_becomes_of_it() {
    let street = Street::open().await;
    street.log_in().await;
    let receipt = street.say("/order 1:2").await;
    assert!(receipt.text.contains("Order 00000001\n") && receipt.text.contains("⏳"), "{receipt:?}");
    followed(&street, 1).await;
    let messages = street.api.messages(CHAT).len();
    street.shop.state().order_becomes(1, "confirmed", &json!({}));
    let confirmed = street.until_it_says(&receipt, "✅ confirmed").await;
    assert!(confirmed.text.starts_with("Thank you! Your order is confirmed."), "{confirmed:?}");
    assert_eq!(street.api.messages(CHAT).len(), messages, "an edit is no new message");

    // A confirmed order can be cancelled, and the money is spoken of.
    street.press(&confirmed, "Cancel it").await;
    let question = street.now(&receipt);
    assert!(question.text.ends_with("You get your money back."), "{question:?}");
    let notice = street.press(&question, "Yes, cancel it").await;
    assert_eq!(notice.as_deref(), Some("The order is cancelled."));
}

#[tokio::test]
async fn an_order_that_is_cancelled_says_why_in_the_persons_language() {
    let street = Street::open().await;
    street.api.set_language(CHAT, "ru");
    street.log_in().await;
    let list = street.say("/products").await;
    street.press(&list, "➕ 1 ·").await;
    street.press(&street.now(&list), "✅").await;
    followed(&street, 1).await;
    let cancellation = json!({ "cancellation": { "code": "out_of_stock", "reason": "1 of product 1." } });
    street.shop.state().order_becomes(1, "cancelled", &cancellation);
    let cancelled = street.until_it_says(&list, "❌ отменён").await;
    assert!(cancelled.text.contains("раскупили раньше"), "{cancelled:?}");
    assert!(!cancelled.text.contains("product 1"), "{cancelled:?}");
    assert!(cancelled.button("Отменить").is_none(), "{cancelled:?}");
}

#[tokio::test]
async fn a_message_that_a_button_has_changed_is_left_alone() {
    let street = Street::open().await;
    street.log_in().await;
    let first = street.say("/order 1").await;
    let second = street.say("/order 2").await;
    followed(&street, 2).await;
    street.press(&first, "Cancel it").await;
    let question = street.now(&first);
    assert!(question.text.starts_with("Cancel this order?"), "{question:?}");
    for number in [1, 2] {
        street.shop.state().order_becomes(number, "confirmed", &json!({}));
    }
    street.until_it_says(&second, "✅").await;
    assert_eq!(street.now(&first), question);
    assert_eq!(street.say("/orders").await.text.matches("✅ confirmed").count(), 2);
}

#[tokio::test]
async fn an_order_that_cannot_be_followed_is_an_order_all_the_same() {
    let street = Street::open().await;
    street.log_in().await;
    // A slow order, so that the service is gone right after it.
    street.shop.state().slow_orders = Duration::from_millis(500);
    let said = street.api.user_says(CHAT, "/order 1");
    until(&street, |shop| shop.orders.len() == 1).await;
    street.shop.state().away.insert("/orders");
    let receipt = street.api.wait_for_message(CHAT, |message| message.id > said, PATIENCE).await.unwrap();
    assert!(receipt.text.starts_with("Thank you! Your order is placed."), "{receipt:?}");
    assert!(street.say("/products").await.text.starts_with("Products, page 1"));
    assert_eq!(street.shop.state().followed, 0);
}

#[tokio::test]
async fn a_bot_that_follows_an_order_stops_at_once() {
    let street = Street::open().await;
    street.log_in().await;
    street.say("/order 1").await;
    followed(&street, 1).await;
    let began = Instant::now();
    street.bot.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_login_links_the_chat_and_a_logout_unlinks_it() {
    let street = Street::open().await;
    street.api.set_language(CHAT, "ru-RU");
    let welcome = street.log_in().await;
    assert!(welcome.text.contains("Новости о ваших заказах будут приходить сюда."), "{welcome:?}");
    assert_eq!(street.shop.state().linked[&CHAT], "ru");
    // Also after the login has expired.
    street.shop.state().tokens_expired = true;
    street.say("/orders").await;
    street.say("/logout").await;
    assert!(street.shop.state().linked.is_empty());
}

#[tokio::test]
async fn nobody_is_kept_from_logging_in_by_the_news() {
    let mut street = Street::open().await;
    street.shop.state().away.insert("/telegram-links");
    let welcome = street.log_in().await;
    assert!(welcome.text.starts_with("You are logged in as"), "{welcome:?}");
    assert!(!welcome.text.contains("News of your orders"), "{welcome:?}");
    assert_eq!(street.say("/logout").await.text, "You are logged out.");

    let mut config = config(&street.api, &street.shop);
    config.notification_url = None;
    street.bot.stop().await;
    street.bot = Bot::start(config).await;
    street.shop.state().away.clear();
    assert!(!street.log_in().await.text.contains("News of your orders"));
    assert!(street.shop.state().linked.is_empty());
}
