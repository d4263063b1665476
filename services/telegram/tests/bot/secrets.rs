//! What the bot must never tell. Needs a process of its own for its log, as nextest gives every test.

use crate::street::{Bot, CHAT, FakeShop, JWT, PASSWORD, PATIENCE, Street, config};
use shop_testing::{
    Log,
    bot_api::{BotApi, Failure, TOKEN},
};

#[tokio::test]
async fn no_log_at_any_level_has_a_password_a_token_or_a_message() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .init();

    let (api, shop) = (BotApi::start(), FakeShop::start().await);
    let mut street = Street { bot: Bot::start(config(&api, &shop)).await, api, shop };
    street.log_in().await;
    street.say("/order 1:2").await;
    street.say("/login user@example.com another-s3cret").await;
    street.say("user@example.com forgot-the-command-s3cret").await;
    street.shop.state().away.extend(["/auth", "/orders"]);
    street.log_in().await;
    street.say("/orders").await;
    let unreadable = serde_json::json!({ "text": format!("/login user@example.com {PASSWORD}") });
    street.api.sends("message", unreadable);
    street.api.fail("sendMessage", 1, &Failure::Error(400, "Bad Request: no"));
    street.api.user_says(CHAT, "/start");
    street.say("/help").await;
    street.api.go_away();
    street.bot.wait_for_api("unavailable").await;
    street.api.come_back();
    assert!(street.api.wait_for_message(CHAT, |_| true, PATIENCE).await.is_some());
    street.bot.stop().await;

    let log = log.text();
    assert!(log.contains("a service cannot be used"), "the log is there:\n{log}");
    let secret = TOKEN.split(':').next_back().unwrap();
    for secret in [PASSWORD, JWT, secret, "another-s3cret", "forgot-the-command-s3cret"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret}: {lines:#?}");
    }
}
