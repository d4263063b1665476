//! Messages by Telegram's Bot API: one method of it, so it needs no library.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use serde_json::json;
use shop_runtime::config::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::time::Instant;
use url::Url;

/// How long a connection may take, and a call with it.
const CONNECT: Duration = Duration::from_secs(5);
const CALL: Duration = Duration::from_secs(15);

/// The longest pause that the Bot API's flood control is believed to want.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How much of the Bot API's words is logged.
const WORDS: usize = 200;

/// The Bot API, with the bot's token. Clones share the pause that flood control wants.
#[derive(Clone)]
pub(crate) struct BotApi {
    client: Client,
    method: Url,
    pause_until: Arc<Mutex<Option<Instant>>>,
}

/// Why a message was not delivered. No variant contains the token, the chat or the message.
#[derive(Debug, Error)]
pub(crate) enum Undelivered {
    /// The person has blocked the bot, or the chat is gone.
    #[error("the chat cannot be written to")]
    Blocked,
    /// The Bot API will never accept this message.
    #[error("the Bot API refuses the message: {0}")]
    Refused(String),
    /// Nobody knows whether it was delivered, or the Bot API has a problem.
    #[error("the message could not be sent: {0}")]
    NotNow(String),
    /// The Bot API cannot be reached, or does not know the token.
    #[error("no message can be sent: {0}")]
    Away(String),
    /// Too many messages.
    #[error("the Bot API wants a pause of {} s", .0.as_secs())]
    FloodControl(Duration),
}

/// What the Bot API answers, as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    ok: bool,
    description: String,
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: u64,
}

impl BotApi {
    /// The Bot API at `api`. Nothing is connected yet.
    ///
    /// # Errors
    /// The system's TLS roots cannot be read.
    pub(crate) fn new(api: &Url, token: &SecretString) -> anyhow::Result<Self> {
        shop_runtime::install_crypto();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .redirect(redirect::Policy::none())
            .build()
            .context("the client of the Bot API")?;
        let mut method = api.clone();
        let bot = format!("bot{}", token.expose_secret());
        let segments = method.path_segments_mut();
        segments
            .map_err(|()| anyhow::anyhow!("TELEGRAM_API_URL has no path"))?
            .pop_if_empty()
            .extend([bot.as_str(), "sendMessage"]);
        Ok(Self { client, method, pause_until: Arc::default() })
    }

    /// Sends a plain text to a chat.
    pub(crate) async fn send(&self, chat: &str, text: &str) -> Result<(), Undelivered> {
        if let Some(pause) = self.pause() {
            return Err(Undelivered::FloodControl(pause));
        }
        let message = json!({
            "chat_id": chat,
            "text": text,
            "link_preview_options": { "is_disabled": true },
        });
        let response = self.client.post(self.method.clone()).json(&message).send().await.map_err(away)?;
        let status = response.status();
        // An answer that is none, such as a proxy's page, is judged by its status alone.
        let answer: Answer = match response.bytes().await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) => return Err(Undelivered::NotNow(error.without_url().to_string())),
        };
        self.judged(status, &answer)
    }

    fn judged(&self, status: StatusCode, answer: &Answer) -> Result<(), Undelivered> {
        let words: String = answer.description.chars().take(WORDS).collect();
        match status {
            _ if status.is_success() && answer.ok => Ok(()),
            StatusCode::FORBIDDEN => Err(Undelivered::Blocked),
            StatusCode::BAD_REQUEST if words.contains("chat not found") => Err(Undelivered::Blocked),
            StatusCode::BAD_REQUEST => Err(Undelivered::Refused(words)),
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => {
                Err(Undelivered::Away("the Bot API does not know this TELEGRAM_BOT_TOKEN".to_owned()))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let pause = Duration::from_secs(answer.parameters.retry_after.max(1)).min(LONGEST_PAUSE);
                *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Instant::now() + pause);
                Err(Undelivered::FloodControl(pause))
            }
            _ => Err(Undelivered::NotNow(format!("{status} {words}"))),
        }
    }

    /// How long no message may be sent.
    fn pause(&self) -> Option<Duration> {
        let until = *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now())).filter(|pause| !pause.is_zero())
    }
}

/// The address, which reqwest adds to its errors, contains the token.
fn away(error: reqwest::Error) -> Undelivered {
    let was_not_sent = error.is_connect();
    let words = error_reporter::Report::new(error.without_url()).to_string();
    if was_not_sent { Undelivered::Away(words) } else { Undelivered::NotNow(words) }
}

impl fmt::Debug for BotApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotApi")
    }
}

#[cfg(test)]
mod tests {
    use shop_testing::bot_api::{self, Failure, TOKEN};

    use super::*;

    const CHAT: i64 = 77;

    fn client(server: &bot_api::BotApi) -> BotApi {
        BotApi::new(&server.url().parse().unwrap(), &TOKEN.into()).unwrap()
    }

    #[tokio::test]
    async fn a_text_arrives_as_it_is() {
        let server = bot_api::BotApi::start();
        server.user_says(CHAT, "/start");
        client(&server).send("77", "2 < 3 & <b>so</b> on").await.unwrap();
        assert_eq!(server.messages(CHAT)[0].text, "2 < 3 & <b>so</b> on");
    }

    #[tokio::test]
    async fn flood_control_is_waited_out_without_asking_again() {
        let server = bot_api::BotApi::start();
        server.user_says(CHAT, "/start");
        let client = client(&server);
        server.fail("sendMessage", 1, &Failure::FloodControl(1));
        for _ in 0..3 {
            let refused = client.send("77", "a").await.unwrap_err();
            assert!(matches!(refused, Undelivered::FloodControl(_)), "{refused}");
        }
        assert_eq!(server.calls("sendMessage"), 1);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        client.send("77", "a").await.unwrap();
    }

    #[tokio::test]
    async fn what_a_refusal_means_depends_on_its_status() {
        let server = bot_api::BotApi::start();
        server.user_says(CHAT, "/start");
        let client = client(&server);
        let refused = async |failure| {
            server.fail("sendMessage", 1, &failure);
            client.send("77", "a").await.unwrap_err()
        };
        let blocked = refused(Failure::Error(403, "Forbidden: bot was blocked by the user")).await;
        assert!(matches!(blocked, Undelivered::Blocked), "{blocked}");
        let gone = refused(Failure::Error(400, "Bad Request: chat not found")).await;
        assert!(matches!(gone, Undelivered::Blocked), "{gone}");
        let bad = refused(Failure::Error(400, "Bad Request: message text is empty")).await;
        assert!(matches!(bad, Undelivered::Refused(_)), "{bad}");
        let gateway = refused(Failure::BadGateway).await;
        assert!(matches!(gateway, Undelivered::NotNow(_)), "{gateway}");
    }

    #[tokio::test]
    async fn no_error_has_the_token_in_it() {
        let token = "123456789:s3cret".into();
        for address in ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://name.invalid"] {
            let client = BotApi::new(&address.parse().unwrap(), &token).unwrap();
            let error = client.send("77", "a").await.unwrap_err();
            assert!(matches!(error, Undelivered::Away(_)), "{error:?}");
            assert!(!format!("{error} {error:?} {client:?}").contains("s3cret"), "{error:?}");
        }
        let server = bot_api::BotApi::start();
        let unknown = BotApi::new(&server.url().parse().unwrap(), &token).unwrap();
        assert!(matches!(unknown.send("77", "a").await.unwrap_err(), Undelivered::Away(_)));
    }
}
