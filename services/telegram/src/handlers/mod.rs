//! How the bot handles an update: a command gets a reply, a button changes the message that it is under.

mod account;
mod ordering;
mod parts;

use std::sync::Arc;

use shop_core::Clock;
use teloxide::types::{CallbackQuery, Me, Message, Update, UpdateKind};
use tracing::{Instrument as _, field::Empty};

use self::parts::{Answer, Asked, Parts, Trouble, language_of};
use crate::{
    api::Api,
    commands::{self, Addressed, Command},
    follows::Follows,
    press::Press,
    replies,
    sessions::Sessions,
    shop::Shop,
};

/// Handles updates. Clones share everything.
#[derive(Clone)]
pub(crate) struct Handlers(Arc<Parts>);

impl Handlers {
    pub(crate) fn new(
        api: Api,
        me: Me,
        shop: Shop,
        sessions: Arc<dyn Sessions>,
        follows: Follows,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Parts { api, me, shop, sessions, follows, clock }))
    }

    /// Handles an update, in a trace of its own.
    pub(crate) async fn update(&self, update: Update) {
        let span = tracing::info_span!(parent: None, "update", otel.name = Empty, otel.kind = "consumer");
        async {
            match update.kind {
                UpdateKind::Message(message) => self.0.message(&message).await,
                UpdateKind::EditedMessage(message) => self.0.edited(&message).await,
                UpdateKind::CallbackQuery(query) => self.0.pressed(&query).await,
                // Its content is not logged: it may be a message with a password.
                UpdateKind::Error(_) => tracing::warn!("an update of an unknown shape is skipped"),
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
            // The bot does not reply in a group, or to service messages.
            if asked.private && matches!(message.kind, teloxide::types::MessageKind::Common(_)) {
                self.send(asked, &replies::not_a_command(asked.language)).await;
            }
            return;
        };
        match commands::parse(text) {
            Some(addressed) if self.is_for_us(&addressed, asked) => {
                self.command(asked, addressed.command).await;
            }
            None if asked.private => {
                self.send(asked, &replies::not_a_command(asked.language)).await;
            }
            _ => {}
        }
    }

    /// An edited message is not a new command, with one exception: a corrected `/login`, because it contains a password.
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

    /// In a group, `/help@other_bot` is for another bot, and an unknown command without a bot's name may be.
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
            Command::Start => Ok(replies::welcome(language).into()),
            Command::Help => Ok(replies::help(language).into()),
            Command::Login(credentials) => Ok(self.log_in(asked, credentials).await.into()),
            Command::Logout => self.log_out(asked).await.map(Answer::from),
            Command::Products => self.products(asked, 0, commands::Draft::default()).await.map(Answer::from),
            Command::Order(Ok(draft)) => self.order(asked, &draft).await,
            Command::Order(Err(error)) => Ok(replies::order_not_understood(language, &error).into()),
            Command::Orders => self.orders(asked, 0).await.map(Answer::from),
            Command::Unknown(name) => Ok(replies::unknown_command(language, &name).into()),
        };
        let Answer { reply, placed, .. } =
            answered.unwrap_or_else(|trouble| replies::sentence(&trouble.in_words(language)).into());
        let sent = self.send(asked, &reply).await;
        self.follow(asked, sent, placed);
    }

    async fn pressed(&self, query: &CallbackQuery) {
        let language = language_of(Some(&query.from));
        let (Some(message), Some(press)) = (&query.message, query.data.as_deref().and_then(Press::decode))
        else {
            self.answer(query, Some(replies::no_such_button(language))).await;
            return;
        };
        named("", press.name());
        let asked = Asked::new(message.chat(), message.id(), Some(&query.from));
        match self.press(asked, press).await {
            Ok(Answer { reply, notice, placed }) => {
                // The message is about something else now.
                self.follows.stop(asked.chat, asked.message);
                let shown = self.edit(asked, &reply).await;
                self.follow(asked, shown, placed);
                self.answer(query, notice).await;
            }
            Err(trouble) => self.answer(query, Some(&trouble.in_words(language))).await,
        }
    }

    async fn press(&self, asked: Asked, press: Press) -> Result<Answer, Trouble> {
        match press {
            Press::Products { page, draft } => Ok(self.products(asked, page, draft).await?.into()),
            Press::Add { page, product, draft } => Ok(self.add(asked, page, product, draft).await?.into()),
            Press::Order { total, draft } => self.order_for(asked, total, &draft).await,
            Press::Orders { page } => Ok(self.orders(asked, page).await?.into()),
            Press::AskCancel { order } => Ok(self.ask_cancel(asked, order).await?.into()),
            Press::Cancel { order } => self.cancel(asked, order).await,
        }
    }
}

/// Names the trace after the command or the button, never after what was typed.
fn named(prefix: &str, name: &str) {
    tracing::Span::current().record("otel.name", format!("telegram {prefix}{name}"));
}
