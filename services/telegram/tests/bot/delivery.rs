//! Every update is answered, once, whatever happens around the bot.

use std::time::Duration;

use crate::street::{Bot, CHAT, FakeShop, PATIENCE, Street, config};
use shop_testing::bot_api::{BotApi, Failure};

#[tokio::test]
async fn a_restart_in_the_middle_answers_everything_once() {
    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    let chats = 1..=12;
    for chat in chats.clone() {
        for words in ["/start", "/help", "/products"] {
            api.user_says(chat, words);
        }
    }
    let bot = Bot::start(config(&api, &shop)).await;
    let begun = || (!api.messages(1).is_empty()).then_some(());
    api.wait(begun, PATIENCE).await.expect("a first answer");
    for chat in chats.clone() {
        api.user_says(chat, "/orders");
    }
    bot.stop().await;
    let bot = Bot::start(config(&api, &shop)).await;
    for chat in chats.clone() {
        api.wait(|| (api.messages(chat).len() >= 4).then_some(()), PATIENCE).await.expect("four answers");
    }
    bot.stop().await;
    for chat in chats {
        let beginnings: Vec<_> =
            api.messages(chat).iter().map(|message| message.text[..8].to_owned()).collect();
        assert_eq!(beginnings, ["Welcome ", "/product", "Products", "Please l"], "in order, once each");
    }
    assert_eq!(api.unconfirmed(), 0);
}

#[tokio::test]
async fn after_a_crash_an_order_is_asked_for_again_and_placed_once() {
    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    let Some(redis) = shop_testing::redis().await else { return };
    let config = config(&api, &shop);
    let config = telegram::Config { redis_url: redis.url.parse().unwrap(), ..config };
    let crashing =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    crashing.spawn(Bot::start(config.clone()));
    api.user_says(CHAT, &format!("/login {} {}", crate::street::EMAIL, crate::street::PASSWORD));
    let logged_in = |message: &crate::street::Message| message.text.starts_with("You are logged in");
    api.wait_for_message(CHAT, logged_in, PATIENCE).await.expect("a login");
    shop.state().slow_orders = Duration::from_secs(2);
    api.user_says(CHAT, "/order 1:2");
    while shop.state().asked.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    crashing.shutdown_background();
    shop.state().slow_orders = Duration::ZERO;

    let _bot = Bot::start(config).await;
    let receipt = |message: &crate::street::Message| message.text.starts_with("Thank you!");
    api.wait_for_message(CHAT, receipt, PATIENCE).await.expect("a receipt");
    assert_eq!(shop.state().asked.len(), 2);
    assert_eq!(shop.state().orders.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let street = Street::open().await;
    street.log_in().await;
    street.shop.state().lost_answers = 2;
    assert!(street.say("/order 1:2").await.text.starts_with("Thank you!"));
    assert_eq!(street.shop.state().asked.len(), 3);
    assert_eq!(street.shop.state().orders.len(), 1);
    street.shop.state().lost_answers = 3;
    assert!(street.say("/order 2").await.text.contains("your order may have been placed"));
}

#[tokio::test]
async fn a_slow_chat_keeps_its_order_and_holds_up_nobody() {
    let street = Street::open().await;
    street.log_in().await;
    street.shop.state().slow_orders = Duration::from_secs(1);
    street.api.user_says(CHAT, "/order 1:2");
    street.api.user_says(CHAT, "/help");
    street.say_in(8, "/start").await;
    assert_eq!(street.api.messages(CHAT).len(), 1, "the other chat was answered meanwhile");
    let help = |message: &crate::street::Message| message.text.starts_with("/products");
    street.api.wait_for_message(CHAT, help, PATIENCE).await.expect("help");
    let answers = street.api.messages(CHAT);
    assert!(answers[1].text.starts_with("Thank you!"), "{answers:?}");
}

#[tokio::test]
async fn flood_control_is_waited_for() {
    let street = Street::open().await;
    street.api.fail("sendMessage", 1, &Failure::FloodControl(1));
    street.api.fail("getUpdates", 1, &Failure::FloodControl(1));
    assert!(street.say("/start").await.text.starts_with("Welcome"));
    assert_eq!(street.api.calls("sendMessage"), 2);
    assert!(street.say("/help").await.text.starts_with("/products"));
}

#[tokio::test]
async fn a_failing_bot_api_is_waited_for() {
    let street = Street::open().await;
    street.bot.wait_for_api("ok").await;
    street.api.fail("getUpdates", 1, &Failure::BadGateway);
    street.api.fail("sendMessage", 1, &Failure::Error(500, "Internal Server Error"));
    street.api.user_says(CHAT, "/start");
    // The first answer may have been sent before it failed, so it is not sent again.
    let help = |message: &crate::street::Message| message.text.starts_with("/products");
    street.api.user_says(CHAT, "/help");
    street.api.wait_for_message(CHAT, help, PATIENCE * 3).await.expect("the next answer");
    assert_eq!(street.api.messages(CHAT).len(), 1);
}

#[tokio::test]
async fn an_unreachable_bot_api_degrades_and_comes_back() {
    let mut street = Street::open().await;
    street.bot.wait_for_api("ok").await;
    street.api.go_away();
    street.bot.wait_for_api("unavailable").await;
    let (status, readiness) = street.bot.get("/readyz").await;
    assert_eq!((status, &readiness["status"]), (200, &serde_json::json!("degraded")));
    assert_eq!(street.bot.get("/health").await.0, 200);
    street.api.come_back();
    assert!(street.say("/start").await.text.starts_with("Welcome"));
    street.bot.wait_for_api("ok").await;
}

#[tokio::test]
async fn a_token_that_the_bot_api_does_not_know_is_no_reason_to_stop() {
    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    for token in ["123456789:ABCDEF...", "123456789:AAAAAAAAAAAAAAAA"] {
        let config = telegram::Config { bot_token: Some(token.to_owned().into()), ..config(&api, &shop) };
        let bot = Bot::start(config).await;
        let before = api.calls("getMe");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(bot.get("/health").await.0, 200);
        let (status, readiness) = bot.get("/readyz").await;
        assert_eq!((status, &readiness["status"]), (200, &serde_json::json!("degraded")));
        assert_eq!(readiness["dependencies"]["telegram_api"], "unavailable");
        assert_eq!(api.calls("getMe"), before, "only a known token is a call");
        bot.stop().await;
    }
}

#[tokio::test]
async fn without_a_token_the_bot_is_off_and_healthy() {
    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    let bot = Bot::start(telegram::Config { bot_token: None, ..config(&api, &shop) }).await;
    let (status, health) = bot.get("/health").await;
    assert_eq!((status, health), (200, serde_json::json!({ "status": "ok", "service": "telegram_bot" })));
    let (status, readiness) = bot.get("/readyz").await;
    assert_eq!((status, &readiness["status"]), (200, &serde_json::json!("ok")));
    bot.stop().await;
}

#[tokio::test]
async fn updates_are_taken_over_from_a_webhook() {
    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    api.set_webhook();
    let street = Street { bot: Bot::start(config(&api, &shop)).await, api, shop };
    assert!(street.say("/start").await.text.starts_with("Welcome"));
    street.api.set_webhook();
    assert!(street.say("/help").await.text.starts_with("/products"), "and again while it runs");
}

#[tokio::test]
async fn an_update_that_cannot_be_read_is_passed_over() {
    let street = Street::open().await;
    street.api.sends("message", serde_json::json!({ "from": "the future" }));
    street.api.sends("callback_query", serde_json::json!(7));
    assert!(street.say("/start").await.text.starts_with("Welcome"));
    street.bot.stop().await;
    assert_eq!(street.api.unconfirmed(), 0);
}
