//! The Bot API, as the bot calls it: it waits out flood control, and its errors contain no token, address or message.

use std::{error::Error as _, time::Duration};

use anyhow::Context as _;
use backon::{ConstantBuilder, Retryable as _};
use error_reporter::Report;
use shop_core::Language;
use shop_runtime::config::{ExposeSecret as _, SecretString};
use teloxide::{
    ApiError, Bot, RequestError,
    payloads::{
        AnswerCallbackQuerySetters as _, EditMessageTextSetters as _, GetUpdatesSetters as _,
        SendMessageSetters as _, SetMyCommandsSetters as _,
    },
    requests::{Output, Request, Requester as _},
    types::{AllowedUpdate, CallbackQueryId, ChatId, Me, MessageId, ParseMode, Update},
};
use url::Url;

use crate::replies::{self, Reply};

/// How long the Bot API may hold a poll open when there is nothing to say, in seconds.
const LONG_POLL: u32 = 25;

/// A call that takes longer has failed; a long poll may take its own time on top.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a chat is kept waiting for flood control at most.
const LONGEST_FLOOD_WAIT: Duration = Duration::from_secs(30);

/// How often a call is repeated before it is given up.
const REPEATS: usize = 2;

/// How long a call waits before it tries to connect again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// The Bot API with the bot's token.
#[derive(Clone)]
pub(crate) struct Api(Bot);

/// Why a call to the Bot API failed. It may be logged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The token is not a bot's, or no longer.
    #[error("the Bot API does not know this TELEGRAM_BOT_TOKEN")]
    InvalidToken,
    /// Updates go to a webhook.
    #[error("updates go to a webhook")]
    Webhook,
    /// Another process asks for the updates of the same bot.
    #[error("another process receives this bot's updates")]
    AnotherBot,
    /// Flood control.
    #[error("the Bot API wants a pause of {} s", .0.as_secs())]
    FloodControl(Duration),
    /// There is nothing to change.
    #[error("the message is not modified")]
    NotModified,
    /// Any other refusal, in the Bot API's words.
    #[error("the Bot API refuses: {0}")]
    Refused(String),
    /// There was no connection, so the call was not carried out.
    #[error("the Bot API cannot be reached: {0}")]
    NotConnected(String),
    /// No answer, or none that can be read.
    #[error("the Bot API does not answer: {0}")]
    Away(String),
}

impl Api {
    /// # Errors
    /// The system's TLS roots cannot be read.
    pub(crate) fn new(token: &SecretString, url: Url) -> anyhow::Result<Self> {
        // reqwest 0.12 takes the process's TLS provider, and has none of its own here.
        shop_runtime::install_crypto();
        let client = reqwest_for_teloxide::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(CALL_TIMEOUT + Duration::from_secs(LONG_POLL.into()))
            .redirect(reqwest_for_teloxide::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .context("the client of the Bot API")?;
        Ok(Self(Bot::with_client(token.expose_secret(), client).set_api_url(url)))
    }

    /// Who the bot is.
    pub(crate) async fn me(&self) -> Result<Me, CallError> {
        bounded(CALL_TIMEOUT, self.0.get_me()).await
    }

    /// Makes the Bot API keep updates for [`Api::updates`] instead of sending them to a webhook.
    pub(crate) async fn take_over_updates(&self) -> Result<(), CallError> {
        bounded(CALL_TIMEOUT, self.0.delete_webhook()).await.map(drop)
    }

    /// Sets the commands that clients suggest, in every language that the bot speaks.
    pub(crate) async fn offer_commands(&self) -> Result<(), CallError> {
        bounded(CALL_TIMEOUT, self.0.set_my_commands(replies::commands(Language::English))).await?;
        let russian = self.0.set_my_commands(replies::commands(Language::Russian)).language_code("ru");
        bounded(CALL_TIMEOUT, russian).await.map(drop)
    }

    /// Returns the updates from `offset` on, and confirms all before it. With `wait`, the Bot API waits until there is one.
    pub(crate) async fn updates(&self, offset: i32, wait: bool) -> Result<Vec<Update>, CallError> {
        let wait = if wait { LONG_POLL } else { 0 };
        let kinds = [AllowedUpdate::Message, AllowedUpdate::EditedMessage, AllowedUpdate::CallbackQuery];
        let call = self.0.get_updates().offset(offset).timeout(wait).allowed_updates(kinds);
        bounded(CALL_TIMEOUT + Duration::from_secs(wait.into()), call).await
    }

    /// Confirms the updates before `offset`, and returns none.
    pub(crate) async fn confirm(&self, offset: i32) -> Result<(), CallError> {
        let call = self.0.get_updates().offset(offset).limit(1).timeout(0);
        bounded(Duration::from_secs(3), call).await.map(drop)
    }

    /// Sends a message, and returns its id.
    pub(crate) async fn send(&self, chat: ChatId, reply: &Reply) -> Result<MessageId, CallError> {
        let mut call = self.0.send_message(chat, &reply.text).parse_mode(ParseMode::Html);
        call.reply_markup = reply.keyboard.clone().map(Into::into);
        patiently(call).await.map(|message| message.id)
    }

    /// Replaces one of the bot's own messages by `reply`.
    pub(crate) async fn edit(
        &self,
        chat: ChatId,
        message: MessageId,
        reply: &Reply,
    ) -> Result<(), CallError> {
        let mut call = self.0.edit_message_text(chat, message, &reply.text).parse_mode(ParseMode::Html);
        call.reply_markup = reply.keyboard.clone();
        match patiently(call).await {
            // A button was pressed twice, and the message already says what it should.
            Ok(_) | Err(CallError::NotModified) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a message.
    pub(crate) async fn delete(&self, chat: ChatId, message: MessageId) -> Result<(), CallError> {
        patiently(self.0.delete_message(chat, message)).await.map(drop)
    }

    /// Ends the waiting that a client shows after a button was pressed; `notice` pops up.
    pub(crate) async fn answer(
        &self,
        query: &CallbackQueryId,
        notice: Option<&str>,
    ) -> Result<(), CallError> {
        let mut call = self.0.answer_callback_query(query.clone());
        if let Some(notice) = notice {
            call = call.text(notice).show_alert(true);
        }
        patiently(call).await.map(drop)
    }
}

/// Makes a call, and repeats it if it was certainly not carried out: after flood control, and when there was no connection.
/// Anything else may have been carried out, and repeating it would send a message twice.
async fn patiently<R: Request<Err = RequestError>>(call: R) -> Result<Output<R>, CallError> {
    let again = ConstantBuilder::default().with_delay(RECONNECT_PAUSE).with_max_times(REPEATS);
    (|| bounded(CALL_TIMEOUT, call.send_ref()))
        .retry(again)
        .when(|error| match error {
            CallError::FloodControl(wait) => *wait <= LONGEST_FLOOD_WAIT,
            error => matches!(error, CallError::NotConnected(_)),
        })
        .adjust(|error, pause| match error {
            CallError::FloodControl(wait) => pause.map(|_| *wait),
            _ => pause,
        })
        .await
}

async fn bounded<T>(
    patience: Duration,
    call: impl IntoFuture<Output = Result<T, RequestError>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(patience, call.into_future()).await {
        Ok(answer) => answer.map_err(|error| CallError::from(&error)),
        Err(_) => Err(CallError::Away("no answer in time".to_owned())),
    }
}

impl From<&RequestError> for CallError {
    fn from(error: &RequestError) -> Self {
        match error {
            RequestError::RetryAfter(seconds) => Self::FloodControl(seconds.duration()),
            RequestError::Api(ApiError::InvalidToken) => Self::InvalidToken,
            RequestError::Api(ApiError::MessageNotModified) => Self::NotModified,
            RequestError::Api(ApiError::TerminatedByOtherGetUpdates) => Self::AnotherBot,
            RequestError::Api(ApiError::CantGetUpdates) => Self::Webhook,
            // The Bot API says more than the text that teloxide compares.
            RequestError::Api(ApiError::Unknown(words)) if words.contains("webhook is active") => {
                Self::Webhook
            }
            RequestError::Api(ApiError::Unknown(words)) => Self::Refused(words.chars().take(200).collect()),
            RequestError::Api(error) => Self::Refused(error.to_string()),
            RequestError::MigrateToChatId(_) => Self::Refused("the chat has moved".to_owned()),
            RequestError::Network(error) if error.is_connect() => Self::NotConnected(causes(error)),
            RequestError::Network(error) => Self::Away(causes(error)),
            // Without the response itself: that of getUpdates contains people's messages.
            RequestError::InvalidJson { .. } => Self::Away("the answer is not the Bot API's".to_owned()),
            RequestError::Io(error) => Self::Away(error.to_string()),
        }
    }
}

/// The cause of a network error. reqwest's own text contains the address, and the address contains the token.
fn causes(error: &reqwest_for_teloxide::Error) -> String {
    let kind = if error.is_timeout() { "no answer in time" } else { "the connection failed" };
    error.source().map_or(kind.to_owned(), |cause| format!("{kind}: {}", Report::new(cause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_error_has_the_token_in_it() {
        let token = SecretString::from("123456789:s3cret".to_owned());
        for address in ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://name.invalid"] {
            let api = Api::new(&token, address.parse().unwrap()).unwrap();
            let error = api.me().await.unwrap_err();
            assert!(matches!(error, CallError::NotConnected(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_repeated() {
        let raw = r#"{"ok":true,"result":"/login user@example.com hunter2"}"#;
        let source = serde_json::from_str::<u8>(raw).unwrap_err();
        let error = RequestError::InvalidJson { source: source.into(), raw: raw.into() };
        assert!(!format!("{:?}", CallError::from(&error)).contains("hunter2"));
    }
}
