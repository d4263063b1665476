use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use shop_client::{Failure, Refusal};
use shop_core::{Clock, Language};
use shop_runtime::Periodically;
use teloxide::types::{CallbackQuery, Chat, ChatId, Me, MessageId, User};
use uuid::Uuid;

use crate::{
    api::Api,
    commands::OrderError,
    follows::{Follows, Placed},
    replies::{self, Reply},
    sessions::{Session, Sessions},
    shop::Shop,
};

/// What answering an update takes.
pub(super) struct Parts {
    pub(super) api: Api,
    pub(super) me: Me,
    pub(super) shop: Shop,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) follows: Follows,
    pub(super) clock: Clock,
}

/// The language that a user's client is set to; English if the bot does not speak it.
pub(super) fn language_of(user: Option<&User>) -> Language {
    let tag = user.and_then(|user| user.language_code.as_deref());
    tag.and_then(Language::of_tag).unwrap_or(Language::English)
}

/// Who asks, where, and with which message: the command itself, or the message that a button is under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) chat: ChatId,
    pub(super) private: bool,
    pub(super) message: MessageId,
    pub(super) language: Language,
}

impl Asked {
    pub(super) fn new(chat: &Chat, message: MessageId, user: Option<&User>) -> Self {
        let language = language_of(user);
        Self { chat: chat.id, private: chat.is_private(), message, language }
    }
}

/// Why a request was not carried out.
pub(super) enum Trouble {
    NotLoggedIn,
    /// There was a session, but the shop no longer accepts it.
    Expired,
    /// Only in a private chat.
    PrivateOnly,
    /// A service, or the store of the sessions, cannot be used now.
    Away,
    /// It is not known whether the order was placed.
    Unclear,
    /// The customer has no such order.
    NoSuchOrder,
    Refused(Refusal),
    Order(OrderError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { .. } | Failure::Unreadable { .. } => {
                tracing::warn!(error = %failure, "a service cannot be used");
                Self::Away
            }
            Failure::Unauthorized(_) => Self::Expired,
            Failure::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl Trouble {
    /// In a sentence, without markup.
    pub(super) fn in_words(&self, language: Language) -> String {
        match self {
            Self::NotLoggedIn => replies::not_logged_in(language).to_owned(),
            Self::Expired => replies::session_expired(language).to_owned(),
            Self::PrivateOnly => replies::private_only(language).to_owned(),
            Self::Away => replies::away(language).to_owned(),
            Self::Unclear => replies::order_unclear(language).to_owned(),
            Self::NoSuchOrder => replies::no_such_order(language).to_owned(),
            Self::Refused(refusal) => replies::refused(language, refusal),
            Self::Order(OrderError::Quantity(product)) => replies::quantity_out_of_bounds(language, *product),
            Self::Order(_) => replies::basket_full(language).to_owned(),
        }
    }
}

/// The response to a command or to a pressed button. A button's message is replaced, and a notice may pop up.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) notice: Option<&'static str>,
    /// The order that the reply is about, if it was just placed.
    pub(super) placed: Option<Placed>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, notice: None, placed: None }
    }
}

impl Parts {
    /// The session of a private chat. A group has none, since its members would share it.
    pub(super) async fn session(&self, asked: Asked) -> Result<Session, Trouble> {
        if !asked.private {
            return Err(Trouble::PrivateOnly);
        }
        match self.sessions.get(asked.chat).await {
            Ok(session) => session.ok_or(Trouble::NotLoggedIn),
            Err(error) => Err(sessions_away(&error)),
        }
    }

    /// Removes the session if the shop did not accept it.
    pub(super) async fn accepted<T>(&self, asked: Asked, answer: Result<T, Failure>) -> Result<T, Trouble> {
        if let Err(Failure::Unauthorized(_)) = answer
            && let Err(error) = self.sessions.remove(asked.chat).await
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "a session that the shop does not accept could not be removed"
            );
        }
        answer.map_err(Trouble::from)
    }

    /// The idempotency key of an order: the same update gives the same key, even after a restart.
    pub(super) fn idempotency_key(&self, asked: Asked, what: &str) -> Uuid {
        let Asked { chat, message, .. } = asked;
        let text = format!("telegram:{}:{chat}:{message}:{what}", self.me.id);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(text)[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Sends a new message, and returns its id.
    pub(super) async fn send(&self, asked: Asked, reply: &Reply) -> Option<MessageId> {
        let sent = self.api.send(asked.chat, reply).await;
        sent.inspect_err(|error| tracing::warn!(error = %error, "a reply was not sent")).ok()
    }

    /// Replaces the message that the button is under. If that is impossible because the message is too old or gone, sends a new one. Returns
    /// the id of the message that shows the reply.
    pub(super) async fn edit(&self, asked: Asked, reply: &Reply) -> Option<MessageId> {
        let Err(error) = self.api.edit(asked.chat, asked.message, reply).await else {
            return Some(asked.message);
        };
        tracing::info!(error = %error, "a message was not edited, so a new one is sent");
        self.send(asked, reply).await
    }

    /// Keeps the message about an order that was just placed up to date.
    pub(super) fn follow(&self, asked: Asked, shown: Option<MessageId>, placed: Option<Placed>) {
        if let (Some(message), Some(placed)) = (shown, placed) {
            self.follows.start(asked.chat, message, asked.language, placed);
        }
    }

    pub(super) async fn answer(&self, query: &CallbackQuery, notice: Option<&str>) {
        if let Err(error) = self.api.answer(&query.id, notice).await {
            tracing::info!(error = %error, "a button's press was not answered");
        }
    }
}

pub(super) fn sessions_away(error: &anyhow::Error) -> Trouble {
    static AWAY: Periodically = Periodically::line();
    if let Some(count) = AWAY.due() {
        tracing::warn!(error = format!("{error:#}"), count, "the store of the sessions is unavailable");
    }
    Trouble::Away
}
