use sea_orm::DbErr;
use shop_messaging::Failure;
use shop_runtime::{consumer::statement_failed, database::Transaction};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field::Empty};
use uuid::Uuid;

use super::messenger::{Messenger, Recipient};
use crate::{
    domain::{KnownOrder, Links, Newsworthy, Notice},
    metrics::Metrics,
    store::{NewNotification, State, Store},
};

/// Where events become messages on one channel.
pub(crate) struct Desk<M> {
    messenger: M,
    store: Store,
    links: Links,
    metrics: Metrics,
}

impl<M: Messenger> Desk<M> {
    pub(crate) fn new(messenger: M, store: Store, links: Links, metrics: Metrics) -> Self {
        Self { messenger, store, links, metrics }
    }

    /// Tells the customer about `event`, whose message is `id`, unless they were told before.
    pub(super) async fn tell<E: Newsworthy>(
        &self,
        transaction: &Transaction,
        event: &E,
        id: Uuid,
    ) -> Result<(), Failure> {
        let known = self.known(transaction, event).await.map_err(statement_failed)?;
        let customer = event.customer();
        let recipient = self.messenger.recipient(&self.store, transaction, customer, known.as_ref());
        let Some(recipient) = recipient.await.map_err(statement_failed)? else { return Ok(()) };
        let mut notice = Notice::about(event, known.as_ref(), &self.links);
        notice.language = recipient.language.unwrap_or(notice.language);

        // Written before anything is sent: what the database refuses is not sent.
        let new = NewNotification {
            message_id: id,
            order_id: notice.order_id,
            event_type: E::TYPE,
            channel: M::CHANNEL,
            recipient: &recipient.name,
        };
        let Some(row) = self.store.write_down(transaction, new).await.map_err(statement_failed)? else {
            return Ok(());
        };
        let began = Instant::now();
        let span = span::<M>();
        let sending = self.messenger.send(id, customer, &recipient, &notice);
        let outcome = sending.instrument(span.clone()).await;
        self.metrics.told(M::CHANNEL, E::TYPE, outcome.as_ref().ok().copied(), began.elapsed());
        match outcome {
            Ok(State::Sent) => Ok(()),
            Ok(State::Skipped) => self.skip(transaction, row, &recipient).await.map_err(statement_failed),
            Err(failure) => {
                span.record("otel.status_code", "ERROR");
                Err(failure)
            }
        }
    }

    /// The order of an event as this channel knows it, with what the event adds.
    async fn known<E: Newsworthy>(
        &self,
        transaction: &Transaction,
        event: &E,
    ) -> Result<Option<KnownOrder>, DbErr> {
        if let Some(order) = event.begins() {
            self.store.remember(transaction, M::CHANNEL, &order).await?;
        }
        if event.confirms() {
            self.store.remember_confirmed(transaction, M::CHANNEL, event.order_id()).await?;
        }
        self.store.known(transaction, M::CHANNEL, event.order_id()).await
    }

    async fn skip(&self, transaction: &Transaction, row: Uuid, recipient: &Recipient) -> Result<(), DbErr> {
        self.store.write_down_skipped(transaction, row).await?;
        self.messenger.forget(&self.store, transaction, recipient).await
    }
}

fn span<M: Messenger>() -> Span {
    tracing::info_span!(
        "send",
        otel.name = M::CHANNEL.choose("send mail", "send telegram"),
        otel.kind = "client",
        otel.status_code = Empty,
    )
}
