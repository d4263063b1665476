//! What people say and press, and what the bot answers.

use crate::street::{CHAT, EMAIL, PASSWORD, PATIENCE, Street};
use serde_json::json;

#[tokio::test]
async fn a_newcomer_learns_what_the_bot_can_do() {
    let street = Street::open().await;
    let welcome = street.say("/start").await;
    assert!(welcome.text.starts_with("Welcome to the shop!"), "{welcome:?}");
    for command in ["/products", "/login", "/order 1:2,2:1", "/orders", "/logout", "/help"] {
        assert!(welcome.text.contains(command), "{command} in {welcome:?}");
    }
    assert!(street.say("/help").await.text.contains("/products"));
    assert!(street.say("/dance <b>").await.text.starts_with("There is no command /dance."));
    assert!(street.say("hello & <good> day").await.text.starts_with("I understand commands and buttons."));
    let photo = json!({
        "message_id": 900, "date": 0, "chat": { "id": CHAT, "type": "private", "first_name": "Alex" },
        "from": { "id": CHAT, "is_bot": false, "first_name": "Alex" },
        "photo": [{ "file_id": "1", "file_unique_id": "1", "width": 1, "height": 1, "file_size": 1 }],
    });
    let answers = street.api.messages(CHAT).len();
    street.api.sends("message", photo);
    let more = || (street.api.messages(CHAT).len() > answers).then_some(());
    street.api.wait(more, PATIENCE).await.expect("an answer to a photo");
    assert_eq!(street.api.commands(""), ["products", "order", "orders", "login", "logout", "help"]);
    assert_eq!(street.api.commands("ru"), street.api.commands(""));
}

#[tokio::test]
async fn the_language_is_that_of_the_persons_client() {
    let street = Street::open().await;
    street.api.set_language(CHAT, "ru-RU");
    assert!(street.say("/start").await.text.starts_with("Добро пожаловать"));
    assert!(street.say("/order").await.text.starts_with("Напишите после команды"));
    assert!(street.say_in(8, "/start").await.text.starts_with("Welcome"));
}

#[tokio::test]
async fn the_message_with_the_password_is_deleted_whatever_comes_of_it() {
    let street = Street::open().await;
    for (words, answer) in [
        (format!("/login {EMAIL} {PASSWORD}"), "You are logged in as user@example.com until "),
        (format!("/login {EMAIL} wrong"), "The e-mail address or the password is wrong."),
        (format!("/login {EMAIL}"), "Write your e-mail address and your password after the command:"),
        (format!("/login {PASSWORD}"), "This does not look like an e-mail address."),
    ] {
        let said = street.api.user_says(CHAT, &words);
        let answered =
            street.api.wait_for_message(CHAT, |message| message.id > said, PATIENCE).await.unwrap();
        assert!(answered.text.starts_with(answer), "{words}: {answered:?}");
        assert!(answered.text.contains("I deleted your message with the password."), "{answered:?}");
        assert!(!answered.text.contains(PASSWORD), "{answered:?}");
        assert_eq!(street.api.deleted(CHAT).last(), Some(&said), "{words}");
    }
    street.shop.state().too_many_logins = true;
    assert!(street.log_in().await.text.starts_with("Too many attempts."));
    street.shop.state().away.insert("/auth");
    assert!(street.log_in().await.text.starts_with("The shop is not available right now."));
    assert_eq!(street.api.deleted(CHAT).len(), 6);
}

#[tokio::test]
async fn a_corrected_login_is_a_login_and_any_other_edit_is_nothing() {
    let street = Street::open().await;
    let said = street.api.user_says(CHAT, "hello");
    street.api.wait_for_message(CHAT, |message| message.id > said, PATIENCE).await.unwrap();
    street.api.user_edits(CHAT, said, "/order 1:2");
    street.api.user_edits(CHAT, said, &format!("/login {EMAIL} {PASSWORD}"));
    let logged_in = |message: &crate::street::Message| message.text.starts_with("You are logged in");
    street.api.wait_for_message(CHAT, logged_in, PATIENCE).await.expect("a login");
    assert_eq!(street.api.deleted(CHAT), [said]);
    assert_eq!(street.api.messages(CHAT).len(), 2);
}

#[tokio::test]
async fn in_a_group_nobody_logs_in_and_only_the_bots_commands_are_answered() {
    const GROUP: i64 = -5;
    let street = Street::open().await;
    let said = street.api.user_says(GROUP, &format!("/login {EMAIL} {PASSWORD}"));
    let refusal = street.api.wait_for_message(GROUP, |message| message.id > said, PATIENCE).await.unwrap();
    assert!(refusal.text.starts_with("Never write a password in a group."), "{refusal:?}");
    assert!(refusal.text.contains("I could not delete your message."), "{refusal:?}");

    street.api.set_admin(GROUP, true);
    let said = street.api.user_says(GROUP, &format!("/login@SHOP_test_bot {EMAIL} {PASSWORD}"));
    let refusal = street.api.wait_for_message(GROUP, |message| message.id > said, PATIENCE).await.unwrap();
    assert!(refusal.text.contains("I deleted your message"), "{refusal:?}");
    assert_eq!(street.api.deleted(GROUP), [said]);

    assert!(street.say_in(GROUP, "/order 1").await.text.contains("write to me in a private chat"));
    let answers = street.api.messages(GROUP).len();
    for words in ["hello all", "/help@another_bot", "/dance"] {
        street.api.user_says(GROUP, words);
    }
    assert!(street.say_in(GROUP, "/products").await.text.starts_with("Products, page 1"));
    assert_eq!(street.api.messages(GROUP).len(), answers + 1);
}

#[tokio::test]
async fn products_are_put_together_and_ordered_by_buttons() {
    let street = Street::open().await;
    street.log_in().await;
    let list = street.say("/products").await;
    assert!(list.text.contains("1. Thing <1> — RUB\u{a0}500.00\nNice & useful\nin stock: 5"), "{list:?}");
    assert!(list.button("9 ·").is_none(), "a page is short: {list:?}");

    street.press(&list, "➕ 1 ·").await;
    street.press(&street.now(&list), "▶️").await;
    let second = street.now(&list);
    assert!(second.text.starts_with("Products, page 2"), "{second:?}");
    assert!(second.text.contains("9. Thing <9>"), "{second:?}");
    street.press(&second, "➕ 9 ·").await;
    street.press(&street.now(&list), "▶️").await;
    assert!(street.now(&list).button("▶️").is_none(), "twenty products are three pages");
    street.press(&street.now(&list), "◀️").await;
    street.press(&street.now(&list), "➕ 9 ·").await;
    let filled = street.now(&list);
    assert!(
        filled.text.ends_with(
            "Your order\nThing <1> × 1 — RUB\u{a0}500.00\nThing <9> × 2 — RUB\u{a0}3,000.00\nTotal: RUB\u{a0}3,500.00"
        ),
        "{filled:?}"
    );

    assert_eq!(street.press(&filled, "✅ Order for RUB\u{a0}3,500.00").await, None);
    let receipt = street.now(&list);
    assert!(receipt.text.starts_with("Thank you! Your order is placed."), "{receipt:?}");
    let (_, body) = street.shop.state().asked[0].clone();
    assert_eq!(
        body,
        json!({ "items": [
            { "product_id": 1, "quantity": 1, "price": 500.0 },
            { "product_id": 9, "quantity": 2, "price": 1500.0 },
        ]})
    );
    // A second press that was on its way orders nothing more.
    street.api.user_forges(CHAT, list.id, filled.button("✅").unwrap());
    street.api.wait(|| (street.shop.state().asked.len() == 2).then_some(()), PATIENCE).await.unwrap();
    assert_eq!(street.shop.state().orders.len(), 1);
}

#[tokio::test]
async fn a_changed_price_is_shown_before_anything_is_ordered() {
    let street = Street::open().await;
    street.log_in().await;
    let list = street.say("/products").await;
    street.press(&list, "➕ 1 ·").await;
    street.shop.state().products[0]["price"] = json!(600.0);
    let notice = street.press(&street.now(&list), "✅ Order for RUB\u{a0}500.00").await;
    assert!(notice.is_some_and(|notice| notice.starts_with("Prices have changed.")));
    assert!(street.shop.state().orders.is_empty());
    assert_eq!(street.press(&street.now(&list), "✅ Order for RUB\u{a0}600.00").await, None);
    assert_eq!(street.shop.state().orders.len(), 1);
}

#[tokio::test]
async fn a_basket_has_its_bounds_and_can_be_emptied() {
    let street = Street::open().await;
    let list = street.say("/products").await;
    let full = (1..=16).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    street.api.user_forges(CHAT, list.id, &format!("p|0|{full}"));
    let notices = || (street.api.notices(CHAT).len() == 1).then_some(());
    street.api.wait(notices, PATIENCE).await.unwrap();
    // One more of the first would be `1:2`.
    let notice = street.press(&street.now(&list), "➕ 1 ·").await;
    assert!(notice.is_some_and(|notice| notice.starts_with("No more fits into this order.")));
    street.press(&street.now(&list), "🗑").await;
    assert!(street.now(&list).text.ends_with("Press ➕ to put together an order."));
    assert!(street.now(&list).button("✅").is_none());
}

#[tokio::test]
async fn an_order_is_typed_listed_and_cancelled() {
    let street = Street::open().await;
    street.log_in().await;
    let receipt = street.say("/order 1:2,2:1").await;
    assert!(receipt.text.starts_with("Thank you! Your order is placed."), "{receipt:?}");
    assert!(receipt.text.contains("RUB\u{a0}2,500.00\nThing <1> × 2 — RUB\u{a0}1,000.00"), "{receipt:?}");
    let (_, body) = street.shop.state().asked[0].clone();
    assert_eq!(
        body,
        json!({ "items": [{ "product_id": 1, "quantity": 2 }, { "product_id": 2, "quantity": 1 }] })
    );
    for _ in 0..6 {
        street.say("/order 2,2,1:1").await;
    }
    let keys: std::collections::HashSet<_> =
        street.shop.state().asked.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys.len(), 7, "every message is an order of its own");

    let orders = street.say("/orders").await;
    assert_eq!(orders.text.matches("⏳ being processed").count(), 5, "{orders:?}");
    street.press(&orders, "▶️").await;
    assert_eq!(street.now(&orders).text.matches("⏳").count(), 2);
    street.press(&street.now(&orders), "Cancel 00000001").await;
    let question = street.now(&orders);
    assert!(question.text.starts_with("Cancel this order?\n\nOrder 00000001\n"), "{question:?}");
    street.press(&question, "No, keep it").await;
    assert!(street.shop.state().orders.iter().all(|order| order["status"] == "pending"));
    assert_eq!(street.press(&receipt, "Cancel it").await, None);
    let notice = street.press(&street.now(&receipt), "Yes, cancel it").await;
    assert_eq!(notice.as_deref(), Some("The order is cancelled."));
    assert_eq!(street.shop.state().orders[0]["status"], "cancelled");

    let second = street.say("/orders").await;
    street.shop.state().order_becomes(7, "shipped", &json!({}));
    street.press(&second, "Cancel 00000007").await;
    let notice = street.press(&street.now(&second), "Yes, cancel it").await;
    assert_eq!(notice.as_deref(), Some("This order can no longer be changed."));
}

#[tokio::test]
async fn an_order_that_cannot_be_is_explained() {
    let street = Street::open().await;
    assert!(street.say("/order 1:2").await.text.starts_with("Please log in first"));
    street.log_in().await;
    for (words, answer) in [
        ("/order", "Write what to order after the command."),
        ("/order 1:2,<b>x</b>", "I do not understand <b>x</b>."),
        ("/order 1:0", "You can order 1 to 1000 of product 1."),
        ("/order 99", "There is no product 99. See /products."),
        ("/order 1:6", "Only 5 of product 1 left in stock."),
    ] {
        let answered = street.say(words).await;
        assert!(answered.text.starts_with(answer), "{words}: {answered:?}");
    }
    assert!(street.shop.state().orders.is_empty());
}

#[tokio::test]
async fn a_session_ends_by_logging_out_and_when_the_shop_says_so() {
    let street = Street::open().await;
    street.log_in().await;
    assert!(street.say("/orders").await.text.contains("There are none here."));
    assert_eq!(street.say("/logout").await.text, "You are logged out.");
    assert!(street.say("/orders").await.text.starts_with("Please log in first"));

    street.log_in().await;
    street.shop.state().tokens_expired = true;
    assert!(street.say("/orders").await.text.starts_with("Your login has expired."));
    assert!(street.say("/orders").await.text.starts_with("Please log in first"), "it is forgotten");

    street.shop.state().tokens_expired = false;
    street.shop.state().expires_in = 1;
    street.log_in().await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert!(street.say("/order 1").await.text.starts_with("Please log in first"), "it ends with its token");
}

#[tokio::test]
async fn a_button_without_a_session_keeps_what_is_on_the_screen() {
    let street = Street::open().await;
    let list = street.say("/products").await;
    street.press(&list, "➕ 2 ·").await;
    let notice = street.press(&street.now(&list), "✅").await;
    assert!(notice.is_some_and(|notice| notice.starts_with("Please log in first")));
    street.log_in().await;
    assert_eq!(street.press(&street.now(&list), "✅").await, None);
    assert_eq!(street.shop.state().orders.len(), 1);
}

#[tokio::test]
async fn what_no_button_of_ours_says_changes_nothing() {
    let street = Street::open().await;
    street.log_in().await;
    let list = street.say("/products").await;
    for data in
        ["", "x", "o|-5|1", "o|1|99999999999999999999", "c|1", "p|0|'; DROP TABLE orders", "a|0|1|1:1001"]
    {
        let before = street.api.notices(CHAT).len();
        street.api.user_forges(CHAT, list.id, data);
        let answered = || street.api.notices(CHAT).get(before).cloned();
        let notice = street.api.wait(answered, PATIENCE).await.expect("an answer").text;
        assert_eq!(notice.as_deref(), Some("This button is out of date. Try /products."), "{data}");
    }
    // Somebody else's order is none.
    street.api.user_forges(CHAT, list.id, "x|00000000-0000-0000-0000-00000000000a");
    let refused =
        || street.api.notices(CHAT).last().cloned()?.text.filter(|text| text.contains("no such order"));
    street.api.wait(refused, PATIENCE).await.expect("an answer");
    assert_eq!(street.now(&list), list);
}

#[tokio::test]
async fn a_button_of_a_message_that_is_gone_gets_a_new_message() {
    let street = Street::open().await;
    let welcome = street.say("/start").await;
    street.api.user_forges(CHAT, 4000, welcome.button("🛍").unwrap());
    let list = |message: &crate::street::Message| message.text.starts_with("Products, page 1");
    assert!(street.api.wait_for_message(CHAT, list, PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_service_that_is_away_is_said_in_a_friendly_way() {
    let street = Street::open().await;
    street.log_in().await;
    let list = street.say("/products").await;
    street.press(&list, "➕ 2 ·").await;
    let filled = street.now(&list);
    street.shop.state().away.extend(["/products", "/orders"]);
    for words in ["/products", "/orders", "/order 1"] {
        let answered = street.say(words).await;
        assert_eq!(
            answered.text, "The shop is not available right now. Please try again in a minute.",
            "{words}"
        );
    }
    for label in ["▶️", "✅"] {
        let notice = street.press(&filled, label).await;
        assert!(notice.is_some_and(|notice| notice.starts_with("The shop is not available")), "{label}");
    }
    assert_eq!(street.now(&list), filled);
    street.shop.state().away.clear();
    assert_eq!(street.press(&filled, "✅").await, None, "the draft is still there");
}
