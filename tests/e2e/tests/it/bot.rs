//! The bot, in the whole shop, with a Bot API server that speaks the real protocol.

use std::time::Duration;

use shop_testing::bot_api::{BotApi, TOKEN};

use crate::support::Shop;

const CHAT: i64 = 77;
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_logs_in_looks_around_and_orders() {
    let api = BotApi::start();
    let url = api.url();
    let shop = Shop::embedded(&[("TELEGRAM_BOT_TOKEN", TOKEN), ("TELEGRAM_API_URL", &url)]).await;
    let account = serde_json::json!({ "email": "bot-user@example.com", "password": "password123" });
    let registered = crate::support::http()
        .post(format!("{}/auth/register", shop.auth))
        .json(&account)
        .send()
        .await
        .unwrap();
    assert_eq!(registered.status(), 201);

    let says = async |text: &str, expected: &str| {
        let before = api.messages(CHAT).len();
        let number = api.user_says(CHAT, text);
        let answered =
            || api.messages(CHAT).into_iter().skip(before).find(|message| message.text.contains(expected));
        let answer = api.wait(answered, PATIENCE).await;
        assert!(
            answer.is_some(),
            "{text}: no {expected:?} in {:#?}\n{}",
            api.messages(CHAT),
            shop.processes[0].log()
        );
        number
    };
    says("/start", "/login").await;
    let login = says("/login bot-user@example.com password123", "bot-user@example.com").await;
    assert!(api.wait(|| api.deleted(CHAT).contains(&login).then_some(()), PATIENCE).await.is_some());
    says("/products", "Morning Mug").await;
    says("/order 1:2,2:1", "2").await;

    let token =
        crate::support::http().post(format!("{}/auth/token", shop.auth)).json(&account).send().await.unwrap();
    let token: serde_json::Value = token.json().await.unwrap();
    let list = async || -> serde_json::Value {
        let request = crate::support::http().get(format!("{}/orders", shop.order));
        let answer = request.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
        answer.json().await.unwrap()
    };
    // The bot may ask for confirmation before it orders.
    if list().await.as_array().unwrap().is_empty() {
        let confirm = api
            .messages(CHAT)
            .into_iter()
            .rev()
            .find_map(|message| message.buttons.iter().flatten().next().map(|(_, data)| data.clone()));
        api.user_presses(CHAT, &confirm.unwrap());
        for _ in 0..200 {
            if !list().await.as_array().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let orders = list().await;
    assert_eq!(orders.as_array().unwrap().len(), 1, "{:#?}", api.messages(CHAT));
    assert_eq!(orders[0]["customer_email"], "bot-user@example.com");
    assert_eq!(orders[0]["total_amount"], 2500.0);
    let confirmed = || api.messages(CHAT).into_iter().find(|message| message.text.contains("✅ confirmed"));
    let receipt = api.wait(confirmed, PATIENCE).await.expect("the message about the order follows it");
    let number = orders[0]["id"].as_str().unwrap().rsplit('-').next().unwrap()[4..].to_uppercase();
    assert!(receipt.text.contains(&number), "{receipt:?}");
    assert!(!shop.processes[0].log().contains("password123"));
    assert!(!shop.processes[0].log().contains(TOKEN));
}
