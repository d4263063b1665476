use std::sync::Arc;

use sea_orm::DbErr;
use shop_core::{Clock, Email};
use shop_messaging::Failure;
use shop_runtime::database::Transaction;
use uuid::Uuid;

use super::messenger::{Messenger, Recipient};
use crate::{
    domain::{Channel, KnownOrder, Notice},
    mail::{Post, Sender, Unsent, compose},
    store::{State, Store},
    words::Letter,
};

/// Sends mails.
pub(crate) struct Mails {
    pub(crate) post: Arc<Post>,
    pub(crate) sender: Sender,
    pub(crate) clock: Clock,
}

impl Messenger for Mails {
    const CHANNEL: Channel = Channel::Email;

    /// Every event has the customer's address.
    async fn recipient(
        &self,
        _: &Store,
        _: &Transaction,
        customer: &Email,
        _: Option<&KnownOrder>,
    ) -> Result<Option<Recipient>, DbErr> {
        Ok(Some(Recipient { name: customer.to_string(), language: None }))
    }

    async fn send(
        &self,
        id: Uuid,
        customer: &Email,
        _: &Recipient,
        notice: &Notice,
    ) -> Result<State, Failure> {
        let letter = Letter::about(notice);
        let mail = compose(&self.sender, customer, id, self.clock.now(), &letter).map_err(Failure::Reject)?;
        self.post.send(id, &mail).await?;
        Ok(State::Sent)
    }

    /// Never needed: a mail that is refused is a dead letter, which an operator can replay.
    async fn forget(&self, _: &Store, _: &Transaction, _: &Recipient) -> Result<(), DbErr> {
        Ok(())
    }
}

impl From<Unsent> for Failure {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Refused(_) => Self::reject(unsent),
            Unsent::NotNow(_) => Self::retry(unsent),
            Unsent::Away(_) => Self::away(unsent),
        }
    }
}
