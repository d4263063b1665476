//! A bot that runs, with people and a shop around it.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use shop_runtime::{Lifecycle, Scope, Service as _, config::RedisUrl};
pub(crate) use shop_testing::bot_api::Message;
use shop_testing::bot_api::{BotApi, TOKEN};
use telegram::{Config, Telegram};

pub(crate) use crate::shop::{EMAIL, FakeShop, JWT, PASSWORD};

/// The private chat of most tests.
pub(crate) const CHAT: i64 = 7;

/// Long enough for a slow machine; nothing waits for it in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A bot that runs.
pub(crate) struct Bot {
    lifecycle: Lifecycle,
    pub(crate) health: SocketAddr,
}

pub(crate) fn config(api: &BotApi, shop: &FakeShop) -> Config {
    let shop: url::Url = shop.url.parse().unwrap();
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        bot_token: Some(TOKEN.to_owned().into()),
        api_url: api.url().parse().unwrap(),
        auth_url: shop.clone(),
        catalog_url: shop.clone(),
        order_url: shop.clone(),
        notification_url: Some(shop),
        redis_url: RedisUrl::MEMORY,
    }
}

impl Bot {
    pub(crate) async fn start(config: Config) -> Self {
        let lifecycle = Lifecycle::new();
        let scope = Scope::new(Telegram::NAME, &lifecycle);
        let health = Telegram::start(config, scope).await.unwrap();
        Self { lifecycle, health }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        self.lifecycle.run().await;
    }

    /// The status and the body of `path`.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = reqwest::get(format!("http://{}{path}", self.health)).await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// Waits until `/readyz` says so about the Bot API.
    pub(crate) async fn wait_for_api(&self, state: &str) {
        let waiting = async {
            while self.get("/readyz").await.1["dependencies"]["telegram_api"] != state {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the bot did not notice");
    }
}

/// A bot, with the people and the shop around it.
pub(crate) struct Street {
    pub(crate) api: BotApi,
    pub(crate) shop: FakeShop,
    pub(crate) bot: Bot,
}

impl Street {
    pub(crate) async fn open() -> Self {
        let (api, shop) = (BotApi::start(), FakeShop::start().await);
        let bot = Bot::start(config(&api, &shop)).await;
        Self { api, shop, bot }
    }

    /// Says something, and gives the answer.
    pub(crate) async fn say(&self, text: &str) -> Message {
        self.say_in(CHAT, text).await
    }

    pub(crate) async fn say_in(&self, chat: i64, text: &str) -> Message {
        let said = self.api.user_says(chat, text);
        let answer = self.api.wait_for_message(chat, |message| message.id > said, PATIENCE).await;
        answer.unwrap_or_else(|| panic!("no answer to {text:?}"))
    }

    pub(crate) async fn log_in(&self) -> Message {
        self.say(&format!("/login {EMAIL} {PASSWORD}")).await
    }

    /// Presses the first button of `message` whose label contains `label`; answers the notice when the press is
    /// answered.
    pub(crate) async fn press(&self, message: &Message, label: &str) -> Option<String> {
        let data = message.button(label).unwrap_or_else(|| panic!("no button {label} under {message:#?}"));
        let before = self.api.notices(CHAT).len();
        self.api.user_presses(CHAT, data);
        let answered = || self.api.notices(CHAT).get(before).cloned();
        self.api.wait(answered, PATIENCE).await.expect("an answered press").text
    }

    /// Waits until the message says `text`, and gives it as it is then.
    pub(crate) async fn until_it_says(&self, message: &Message, text: &str) -> Message {
        let said = || Some(self.now(message)).filter(|now| now.text.contains(text));
        let now = self.api.wait(said, PATIENCE).await;
        now.unwrap_or_else(|| panic!("no {text:?} in {:#?}", self.now(message)))
    }

    /// The message as it is now.
    pub(crate) fn now(&self, message: &Message) -> Message {
        let messages = self.api.messages(CHAT);
        messages.into_iter().find(|now| now.id == message.id).expect("the message is still there")
    }
}
