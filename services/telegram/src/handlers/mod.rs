//! What the bot does about an update: a command gets an answer, a button changes the message that it is under.

mod account;
mod ordering;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use shop_core::Clock;
use shop_runtime::Periodically;
use teloxide::types::{CallbackQuery, Chat, ChatId, Me, Message, MessageId, Update, UpdateKind, User};
use tracing::{Instrument as _, field::Empty};
use uuid::Uuid;

use crate::{
    api::Api,
    commands::{self, Addressed, Command, OrderError},
    press::Press,
    replies::{self, Language, Reply},
    sessions::{Session, Sessions},
    shop::{Refusal, Shop, ShopError},
};

/// Everything that answering an update takes. Clones share it.
#[derive(Clone)]
pub(crate) struct Handlers(Arc<Parts>);

struct Parts {
    api: Api,
    me: Me,
    shop: Shop,
    sessions: Arc<dyn Sessions>,
    clock: Clock,
}

/// Who asks, where, and with which message: a command's own, or the one that a button is under.
#[derive(Clone, Copy, Debug)]
struct Asked {
    chat: ChatId,
    private: bool,
    message: MessageId,
    language: Language,
}

impl Asked {
    fn new(chat: &Chat, message: MessageId, user: Option<&User>) -> Self {
        let language = Language::of(user.and_then(|user| user.language_code.as_deref()));
        Self { chat: chat.id, private: chat.is_private(), message, language }
    }
}

/// Why there is no good answer.
enum Trouble {
    NotLoggedIn,
    /// There was a session, and the shop does not accept it any more.
    Expired,
    /// Only in a private chat.
    PrivateOnly,
    /// A service or the sessions are away.
    Away,
    /// It is not known whether the order was placed.
    Unclear,
    Refused(Refusal),
    Order(OrderError),
}

impl From<ShopError> for Trouble {
    fn from(error: ShopError) -> Self {
        match error {
            ShopError::Away { service, reason, .. } => {
                tracing::warn!(service, reason, "a service is away");
                Self::Away
            }
            ShopError::Unauthorized => Self::Expired,
            ShopError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl Trouble {
    /// In a sentence, without markup.
    fn told(&self, language: Language) -> String {
        match self {
            Self::NotLoggedIn => replies::not_logged_in(language).to_owned(),
            Self::Expired => replies::session_expired(language).to_owned(),
            Self::PrivateOnly => replies::private_only(language).to_owned(),
            Self::Away => replies::away(language).to_owned(),
            Self::Unclear => replies::order_unclear(language).to_owned(),
            Self::Refused(refusal) => replies::refused(language, refusal),
            Self::Order(OrderError::Quantity(product)) => replies::quantity_out_of_bounds(language, *product),
            Self::Order(_) => replies::basket_full(language).to_owned(),
        }
    }
}

/// What pressing a button comes to: the message that it is under becomes another, and perhaps a notice pops up.
struct Pressed {
    reply: Reply,
    notice: Option<&'static str>,
}

impl From<Reply> for Pressed {
    fn from(reply: Reply) -> Self {
        Self { reply, notice: None }
    }
}

impl Handlers {
    pub(crate) fn new(api: Api, me: Me, shop: Shop, sessions: Arc<dyn Sessions>, clock: Clock) -> Self {
        Self(Arc::new(Parts { api, me, shop, sessions, clock }))
    }

    /// Answers an update, in a trace of its own.
    pub(crate) async fn update(&self, update: Update) {
        let span = tracing::info_span!(parent: None, "update", otel.name = Empty, otel.kind = "consumer");
        async {
            match update.kind {
                UpdateKind::Message(message) => self.0.message(&message).await,
                UpdateKind::EditedMessage(message) => self.0.edited(&message).await,
                UpdateKind::CallbackQuery(query) => self.0.pressed(&query).await,
                // What it was is not logged: it may be a message with a password.
                UpdateKind::Error(_) => tracing::warn!("an update of an unknown shape is passed over"),
                _ => {}
            }
        }
        .instrument(span)
        .await;
    }
}

impl Parts {
    async fn message(&self, message: &Message) {
        if message.from.as_ref().is_some_and(|user| user.is_bot) {
            return;
        }
        let asked = Asked::new(&message.chat, message.id, message.from.as_ref());
        let Some(text) = message.text() else {
            // In a group, and about service messages, the bot keeps silent.
            if asked.private && matches!(message.kind, teloxide::types::MessageKind::Common(_)) {
                self.send(asked, replies::not_a_command(asked.language)).await;
            }
            return;
        };
        match commands::parse(text) {
            Some(addressed) if self.is_for_us(&addressed, asked) => {
                self.command(asked, addressed.command).await;
            }
            None if asked.private => self.send(asked, replies::not_a_command(asked.language)).await,
            _ => {}
        }
    }

    /// An edited message is no new command, with one exception: a `/login` that was corrected has a password in it.
    async fn edited(&self, message: &Message) {
        let asked = Asked::new(&message.chat, message.id, message.from.as_ref());
        match message.text().and_then(commands::parse) {
            Some(addressed)
                if matches!(addressed.command, Command::Login(_)) && self.is_for_us(&addressed, asked) =>
            {
                self.command(asked, addressed.command).await;
            }
            _ => {}
        }
    }

    /// In a group `/help@other_bot` is for another bot, and an unknown command without a name may be.
    fn is_for_us(&self, addressed: &Addressed, asked: Asked) -> bool {
        match &addressed.bot {
            Some(bot) => bot.eq_ignore_ascii_case(self.me.username()),
            None => asked.private || !matches!(addressed.command, Command::Unknown(_)),
        }
    }

    async fn command(&self, asked: Asked, command: Command) {
        named("/", command.name());
        let language = asked.language;
        let answered = match command {
            Command::Start => Ok(replies::welcome(language)),
            Command::Help => Ok(replies::help(language)),
            Command::Login(credentials) => Ok(self.log_in(asked, credentials).await),
            Command::Logout => self.log_out(asked).await,
            Command::Products => self.products(asked, 0, commands::Draft::default()).await,
            Command::Order(Ok(draft)) => self.order(asked, &draft).await,
            Command::Order(Err(error)) => Ok(replies::order_not_understood(language, &error)),
            Command::Orders => self.orders(asked, 0).await,
            Command::Unknown(name) => Ok(replies::unknown_command(language, &name)),
        };
        let reply = answered.unwrap_or_else(|trouble| replies::sentence(&trouble.told(language)));
        self.send(asked, reply).await;
    }

    async fn pressed(&self, query: &CallbackQuery) {
        let language = Language::of(query.from.language_code.as_deref());
        let (Some(message), Some(press)) = (&query.message, query.data.as_deref().and_then(Press::decode))
        else {
            self.answer(query, Some(replies::no_such_button(language))).await;
            return;
        };
        named("", press.name());
        let asked = Asked::new(message.chat(), message.id(), Some(&query.from));
        match self.press(asked, press).await {
            Ok(Pressed { reply, notice }) => {
                self.edit(asked, reply).await;
                self.answer(query, notice).await;
            }
            Err(trouble) => self.answer(query, Some(&trouble.told(language))).await,
        }
    }

    async fn press(&self, asked: Asked, press: Press) -> Result<Pressed, Trouble> {
        match press {
            Press::Products { page, draft } => Ok(self.products(asked, page, draft).await?.into()),
            Press::Add { page, product, draft } => Ok(self.add(asked, page, product, draft).await?.into()),
            Press::Order { total, draft } => self.order_for(asked, total, &draft).await,
            Press::Orders { page } => Ok(self.orders(asked, page).await?.into()),
            Press::AskCancel { order } => Ok(self.ask_cancel(asked, order).await?.into()),
            Press::Cancel { order } => self.cancel(asked, order).await,
        }
    }

    /// The session of a private chat. A group has none: its members would share it.
    async fn session(&self, asked: Asked) -> Result<Session, Trouble> {
        if !asked.private {
            return Err(Trouble::PrivateOnly);
        }
        match self.sessions.get(asked.chat).await {
            Ok(session) => session.ok_or(Trouble::NotLoggedIn),
            Err(error) => Err(sessions_away(&error)),
        }
    }

    /// Forgets a session that the shop does not accept.
    async fn accepted<T>(&self, asked: Asked, answer: Result<T, ShopError>) -> Result<T, Trouble> {
        if let Err(ShopError::Unauthorized) = answer
            && let Err(error) = self.sessions.remove(asked.chat).await
        {
            tracing::warn!(error = format!("{error:#}"), "an expired session stays until its time is over");
        }
        answer.map_err(Trouble::from)
    }

    /// The key under which order_service places an order once: the same update gives the same key, also after a
    /// restart.
    fn idempotency_key(&self, asked: Asked, what: &str) -> Uuid {
        let Asked { chat, message, .. } = asked;
        let text = format!("telegram:{}:{chat}:{message}:{what}", self.me.id);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(text)[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    async fn send(&self, asked: Asked, reply: Reply) {
        if let Err(error) = self.api.send(asked.chat, &reply).await {
            tracing::warn!(error = %error, "an answer was not sent");
        }
    }

    /// Changes the message that was asked with; where that is impossible (it is too old, or gone), sends a new one.
    async fn edit(&self, asked: Asked, reply: Reply) {
        if let Err(error) = self.api.edit(asked.chat, asked.message, &reply).await {
            tracing::info!(error = %error, "a message was not edited, so a new one is sent");
            self.send(asked, reply).await;
        }
    }

    async fn answer(&self, query: &CallbackQuery, notice: Option<&str>) {
        if let Err(error) = self.api.answer(&query.id, notice).await {
            tracing::info!(error = %error, "a button's press was not answered");
        }
    }
}

fn sessions_away(error: &anyhow::Error) -> Trouble {
    static AWAY: Periodically = Periodically::line();
    if let Some(count) = AWAY.due() {
        tracing::warn!(error = format!("{error:#}"), count, "the sessions are away");
    }
    Trouble::Away
}

/// Names the trace after what was asked: a command or a button, never what was typed with it.
fn named(prefix: &str, name: &str) {
    tracing::Span::current().record("otel.name", format!("telegram {prefix}{name}"));
}
