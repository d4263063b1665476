use http::Method;
use serde::Serialize;
use shop_core::Language;
use shop_runtime::{
    config::{ExposeSecret as _, SecretString},
    seal::Seal,
};
use url::Url;

use crate::{Failure, Http, Upstream};

/// A client of notification_service, for the shop's bot.
#[derive(Clone, Debug)]
pub struct Notifications {
    service: Upstream,
    link: Seal,
    unlink: Seal,
}

/// The header that proves that the bot, and nobody else who has a customer's token, names the chat.
const BOT_PROOF: &str = "x-bot-proof";

#[derive(Serialize)]
struct TelegramLink {
    chat_id: i64,
    language: Language,
}

impl Notifications {
    /// notification_service at `base`; both know the bot's token.
    pub fn new(base: &Url, http: &Http, bot_token: &SecretString) -> Self {
        let secret = bot_token.expose_secret().as_bytes();
        Self {
            service: Upstream::new("notification_service", base, http),
            link: Seal::new("telegram-link", secret),
            unlink: Seal::new("telegram-unlink", secret),
        }
    }

    /// The service itself, for health checks.
    pub fn upstream(&self) -> &Upstream {
        &self.service
    }

    /// From now on, news of the orders of `token`'s account are also sent to this private chat. An account has one chat, and a chat one account.
    ///
    /// # Errors
    /// Refused with 404 if the service writes to nobody in Telegram.
    pub async fn link_telegram(&self, token: &str, chat_id: i64, language: Language) -> Result<(), Failure> {
        let proof = self.link.of(&[chat_id.to_string().as_bytes(), token.as_bytes()]);
        let link = TelegramLink { chat_id, language };
        let request = || {
            let request = self.service.request(Method::PUT, &["telegram-links"]).bearer_auth(token);
            request.header(BOT_PROOF, &proof).json(&link)
        };
        self.service.call("PUT /telegram-links", request).await.map(drop)
    }

    /// No more news are sent to this chat, if any were.
    ///
    /// # Errors
    /// Refused with 404 if the service writes to nobody in Telegram.
    pub async fn unlink_telegram(&self, chat_id: i64) -> Result<(), Failure> {
        let chat = chat_id.to_string();
        let proof = self.unlink.of(&[chat.as_bytes()]);
        let request = || {
            let request = self.service.request(Method::DELETE, &["telegram-links", &chat]);
            request.header(BOT_PROOF, &proof)
        };
        self.service.call("DELETE /telegram-links/{chat_id}", request).await.map(drop)
    }
}
