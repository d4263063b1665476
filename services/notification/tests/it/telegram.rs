//! Messages to chats that customers have linked.

use notification::Config;
use reqwest::Method;
use shop_core::events::OrderCreated;
use shop_runtime::{
    auth::Role,
    seal::{Envelope, LinkConfig, Seal},
};
use shop_testing::{
    bot_api::{BotApi, Failure, TOKEN},
    mail_sink::{MailSink, Rule, Step},
};

use crate::harness::{
    LINK_SECRET, Order, PATIENCE, Place, Service, everywhere, link_body, mails, token, until,
};

const ANNA: &str = "anna@example.com";
const CHAT: i64 = 77;

everywhere! {
    a_linked_customer_is_told_in_the_chat_too,
    a_chat_that_blocks_the_bot_is_forgotten,
    flood_control_is_waited_out,
    one_account_has_one_chat_and_one_chat_one_account,
}

fn seal(purpose: &str, parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    Seal::new(purpose, TOKEN.as_bytes()).of(&parts)
}

/// Links a chat as the bot does; returns the status.
async fn link(service: &Service, email: &str, chat: i64) -> u16 {
    let token = token(email, Role::Customer);
    let proof = seal("telegram-link", &[&chat.to_string(), &token]);
    let request = service.request(Method::PUT, "/telegram-links").bearer_auth(token);
    request.header("X-Bot-Proof", proof).json(&link_body(chat)).send().await.unwrap().status().as_u16()
}

async fn unlink(service: &Service, chat: i64, proof: &str) -> u16 {
    let request = service.request(Method::DELETE, &format!("/telegram-links/{chat}"));
    request.header("X-Bot-Proof", proof).send().await.unwrap().status().as_u16()
}

/// Waits for the bot's message in a chat.
async fn message(bot: &BotApi, chat: i64, words: &str) -> String {
    let found = bot.wait_for_message(chat, |message| message.text.contains(words), PATIENCE).await;
    found.unwrap_or_else(|| panic!("{words} is not among {:#?}", bot.messages(chat))).text
}

async fn a_linked_customer_is_told_in_the_chat_too(place: Place) {
    let (sink, bot) = (MailSink::start(), BotApi::start());
    bot.user_says(CHAT, "/start");
    let service = place.start_with_bot(&sink, &bot).await;
    let order = Order::of(ANNA);
    place.publish(&[order.created()]).await;
    mails(&sink, 1).await;
    let ignored = r#"consumer_handled_total{queue="notification.telegram",event_type="order_created"} 1"#;
    service.counted(ignored).await;
    assert!(bot.messages(CHAT).is_empty(), "nobody has linked the chat");

    assert_eq!(link(&service, ANNA, CHAT).await, 204);
    let others = Order::of("boris@example.com");
    let guests = Order::of(ANNA);
    let envelope = Envelope::new("order token", LINK_SECRET.as_bytes()).unwrap();
    let sealed_token = Some(envelope.seal(b"secret", guests.id.to_string().as_bytes()).unwrap());
    let guests_created = guests.event(&OrderCreated { sealed_token, ..guests.placed() });
    place.publish(&[others.created(), guests_created, order.confirmed(), order.confirmed()]).await;
    let text = message(&bot, CHAT, &order.id.number()).await;
    assert!(
        text.contains("is paid") && text.contains(&format!("https://shop.example/orders/{}", order.id)),
        "{text}"
    );
    mails(&sink, 5).await;
    service
        .counted(r#"consumer_handled_total{queue="notification.telegram",event_type="order_created"} 3"#)
        .await;
    service
        .counted(r#"consumer_handled_total{queue="notification.telegram",event_type="order_confirmed"} 2"#)
        .await;
    // Two events with two ids, so two messages; and none about the orders of somebody else or of a guest.
    assert_eq!(bot.messages(CHAT).len(), 2);
    assert!(service.told().await.contains(&(
        "order_confirmed".to_owned(),
        "77".to_owned(),
        "sent".to_owned()
    )));

    assert_eq!(unlink(&service, CHAT, &seal("telegram-unlink", &["77"])).await, 204);
    assert_eq!(unlink(&service, CHAT, &seal("telegram-unlink", &["77"])).await, 204, "again");
    place.publish(&[Order::of(ANNA).created()]).await;
    service
        .counted(r#"consumer_handled_total{queue="notification.telegram",event_type="order_created"} 4"#)
        .await;
    assert_eq!(bot.messages(CHAT).len(), 2);
    let readiness = service.health.readiness().await;
    assert_eq!(readiness.dependencies["consumer notification.telegram"], "ok");
}

async fn a_chat_that_blocks_the_bot_is_forgotten(place: Place) {
    let (sink, bot) = (MailSink::start(), BotApi::start());
    bot.user_says(CHAT, "/start");
    let service = place.start_with_bot(&sink, &bot).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 204);
    bot.fail("sendMessage", 1, &Failure::Error(403, "Forbidden: bot was blocked by the user"));
    place.publish(&[Order::of(ANNA).created()]).await;
    let skipped = r#"notifications_total{channel="telegram",event_type="order_created",outcome="skipped"} 1"#;
    service.counted(skipped).await;
    mails(&sink, 1).await;
    let skipped = ("order_created".to_owned(), "77".to_owned(), "skipped".to_owned());
    until(async || service.told().await.contains(&skipped).then_some(())).await;
    place.publish(&[Order::of(ANNA).created()]).await;
    mails(&sink, 2).await;
    service
        .counted(r#"consumer_handled_total{queue="notification.telegram",event_type="order_created"} 2"#)
        .await;
    assert_eq!(bot.calls("sendMessage"), 1, "the link is gone");
}

async fn flood_control_is_waited_out(place: Place) {
    let (sink, bot) = (MailSink::start(), BotApi::start());
    bot.user_says(CHAT, "/start");
    let service = place.start_with_bot(&sink, &bot).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 204);
    bot.fail("sendMessage", 1, &Failure::FloodControl(2));
    let order = Order::of(ANNA);
    place.publish(&[order.created(), order.confirmed()]).await;
    mails(&sink, 2).await;
    assert!(bot.messages(CHAT).is_empty(), "mails do not wait for Telegram");
    message(&bot, CHAT, "is paid").await;
    assert_eq!((bot.messages(CHAT).len(), bot.calls("sendMessage")), (2, 3), "it was not asked in the pause");
    assert!(place.dead_letters("notification.telegram").await.is_empty());
}

async fn one_account_has_one_chat_and_one_chat_one_account(place: Place) {
    let (sink, bot) = (MailSink::start(), BotApi::start());
    for chat in [CHAT, CHAT + 1] {
        bot.user_says(chat, "/start");
    }
    let service = place.start_with_bot(&sink, &bot).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 204);
    assert_eq!(link(&service, ANNA, CHAT + 1).await, 204);
    place.publish(&[Order::of(ANNA).created()]).await;
    message(&bot, CHAT + 1, "Thank you").await;
    assert!(bot.messages(CHAT).is_empty());
    assert_eq!(link(&service, "boris@example.com", CHAT + 1).await, 204);
    place.publish(&[Order::of(ANNA).created()]).await;
    mails(&sink, 2).await;
    service
        .counted(r#"consumer_handled_total{queue="notification.telegram",event_type="order_created"} 2"#)
        .await;
    assert_eq!(bot.messages(CHAT + 1).len(), 1, "the chat is Boris's now");
}

/// On SQLite there is one connection to the database, which waits with the mail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telegram_does_not_wait_for_a_slow_mail_server_nor_for_one_that_is_away() {
    let Some(place) = Place::real().await else { return };
    let (mut sink, bot) = (MailSink::start(), BotApi::start());
    bot.user_says(CHAT, "/start");
    let service = place.start_with_bot(&sink, &bot).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 204);
    sink.add(Rule::delay(Step::Recipient, PATIENCE * 2));
    let first = Order::of(ANNA);
    place.publish(&[first.created(), first.confirmed()]).await;
    message(&bot, CHAT, &format!("{} is paid", first.id.number())).await;
    sink.go_away();
    let second = Order::of(ANNA);
    place.publish(&[second.created()]).await;
    message(&bot, CHAT, &second.id.number()).await;
    assert!(sink.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_bot_links_and_unlinks() {
    let place = Place::embedded();
    let (sink, bot) = (MailSink::start(), BotApi::start());
    let service = place.start_with_bot(&sink, &bot).await;
    let anna = token(ANNA, Role::Customer);
    let put = || service.request(Method::PUT, "/telegram-links").json(&link_body(CHAT));
    let right = seal("telegram-link", &["77", &anna]);
    let anothers = seal("telegram-link", &["77", &token("boris@example.com", Role::Customer)]);
    for (proof, token, status) in [
        (Some(right.clone()), Some(&anna), 204),
        (None, Some(&anna), 403),
        (Some("x".to_owned()), Some(&anna), 403),
        (Some(anothers), Some(&anna), 403),
        (Some(seal("telegram-link", &["78", &anna])), Some(&anna), 403),
        (Some(seal("telegram-unlink", &["77"])), Some(&anna), 403),
        (Some(right), None, 401),
    ] {
        let mut request = put();
        if let Some(proof) = proof {
            request = request.header("X-Bot-Proof", proof);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
    }
    let foreign = put().bearer_auth(&anna).header("X-Bot-Proof", "x").send().await.unwrap();
    let problem: serde_json::Value = foreign.json().await.unwrap();
    assert_eq!(problem["type"], "https://shop.dev/problems/bot-proof-invalid");
    assert_eq!(unlink(&service, CHAT, &seal("telegram-unlink", &["78"])).await, 403);
    let unknown = seal("telegram-link", &["77", &anna]);
    let request =
        service.request(Method::PUT, "/telegram-links").bearer_auth(&anna).header("X-Bot-Proof", unknown);
    let german = request.json(&serde_json::json!({ "chat_id": 77, "language": "de" })).send().await.unwrap();
    assert!(german.status().is_client_error());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bot_or_the_secret_of_links_nobody_can_link_a_chat() {
    let place = Place::embedded();
    let (sink, bot) = (MailSink::start(), BotApi::start());
    let service = place.start_with(&sink).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 404);
    drop(service);
    let other = Place::embedded();
    let config = Config {
        bot_token: Some(TOKEN.into()),
        telegram_api: bot.url().parse().unwrap(),
        link: LinkConfig::default(),
        ..other.config(&crate::harness::url(&sink))
    };
    let service = other.start(config).await;
    assert_eq!(link(&service, ANNA, CHAT).await, 404, "a guest's order would look like an account's");
}
