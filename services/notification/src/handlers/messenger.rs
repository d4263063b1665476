use std::future::Future;

use sea_orm::DbErr;
use shop_core::{Email, Language};
use shop_messaging::Failure;
use shop_runtime::database::Transaction;
use uuid::Uuid;

use crate::{
    domain::{Channel, KnownOrder, Notice},
    store::{State, Store},
};

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// The address or the chat, for the list of notifications.
    pub(crate) name: String,
    /// The language that the recipient has chosen on this channel.
    pub(crate) language: Option<Language>,
}

/// Carries messages over one channel.
pub(crate) trait Messenger: Send + Sync + 'static {
    /// The channel.
    const CHANNEL: Channel;

    /// Returns who is told about an order of the customer with this address; `None` if they cannot be reached on this channel.
    /// `known` is the order, if its `order_created` has been seen.
    fn recipient(
        &self,
        store: &Store,
        transaction: &Transaction,
        customer: &Email,
        known: Option<&KnownOrder>,
    ) -> impl Future<Output = Result<Option<Recipient>, DbErr>> + Send;

    /// Sends the message about event `id`.
    ///
    /// # Errors
    /// It was not sent, or nobody knows.
    fn send(
        &self,
        id: Uuid,
        customer: &Email,
        recipient: &Recipient,
        notice: &Notice,
    ) -> impl Future<Output = Result<State, Failure>> + Send;

    /// Forgets a recipient that can no longer be reached.
    fn forget(
        &self,
        store: &Store,
        transaction: &Transaction,
        recipient: &Recipient,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;
}
