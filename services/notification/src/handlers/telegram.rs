use sea_orm::DbErr;
use shop_core::Email;
use shop_messaging::Failure;
use shop_runtime::database::Transaction;
use uuid::Uuid;

use super::messenger::{Messenger, Recipient};
use crate::{
    domain::{Channel, KnownOrder, Notice},
    store::{State, Store},
    telegram::{BotApi, Undelivered},
    words::Letter,
};

/// Sends messages to the chats that customers have linked.
pub(crate) struct Chats(pub(crate) BotApi);

impl Messenger for Chats {
    const CHANNEL: Channel = Channel::Telegram;

    /// The chat of the account with the customer's address, for an order that was placed with an account: anybody can order as a guest for
    /// somebody else's address, and anybody can open an account with it.
    async fn recipient(
        &self,
        store: &Store,
        transaction: &Transaction,
        customer: &Email,
        known: Option<&KnownOrder>,
    ) -> Result<Option<Recipient>, DbErr> {
        let is_an_accounts = known.is_some_and(|known| known.sealed_token.is_none());
        if !is_an_accounts {
            return Ok(None);
        }
        let chat = store.chat_of(transaction, customer).await?;
        Ok(chat.map(|(chat, language)| Recipient { name: chat.to_string(), language }))
    }

    async fn send(
        &self,
        _: Uuid,
        _: &Email,
        recipient: &Recipient,
        notice: &Notice,
    ) -> Result<State, Failure> {
        match self.0.send(&recipient.name, &Letter::about(notice).chat()).await {
            Ok(()) => Ok(State::Sent),
            Err(Undelivered::Blocked) => Ok(State::Skipped),
            Err(undelivered) => Err(undelivered.into()),
        }
    }

    async fn forget(
        &self,
        store: &Store,
        transaction: &Transaction,
        recipient: &Recipient,
    ) -> Result<(), DbErr> {
        match recipient.name.parse() {
            Ok(chat) => store.unlink_in(transaction, chat).await,
            Err(_) => Ok(()),
        }
    }
}

impl From<Undelivered> for Failure {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Blocked | Undelivered::Refused(_) => Self::reject(undelivered),
            Undelivered::NotNow(_) => Self::retry(undelivered),
            Undelivered::Away(_) | Undelivered::FloodControl(_) => Self::away(undelivered),
        }
    }
}
