//! What happens to an order after it was placed: its row, its timeline and its event change in one transaction, while the
//! row is locked. So the order's events are numbered in commit order, and of two that change it at once one sees the other's change.

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{LockBehavior, LockType},
};
use shop_core::{OrderId, OrderStatus};
use shop_runtime::{TraceParent, database::Transaction};
use tracing::Instrument as _;

use super::{
    Store,
    entity::order,
    rows::{visible_to, with_items},
    timeline::{self, timeline_of},
};
use crate::domain::{
    Announcement, Cancellation, Change, Consequence, Happening, Life, NotCancellable, NotDeliverable,
    NotShippable, Order, Viewer,
};

/// What became of a request to change an order.
#[derive(Debug)]
pub(crate) enum Moved<R> {
    /// It was changed just now.
    Now(Life),
    /// It was so before.
    Before(Life),
    /// It is not possible.
    Refused(R),
}

/// What became of another service's news.
#[derive(Debug)]
pub(crate) struct News {
    /// The order, as it is now.
    pub order: Order,
    /// What followed.
    pub consequence: Consequence,
}

impl Store {
    /// Cancels order `id`, if `viewer` may see it.
    pub(crate) async fn cancel(
        &self,
        viewer: &Viewer,
        id: OrderId,
    ) -> Result<Option<Moved<NotCancellable>>, DbErr> {
        self.change(viewer, id, |life| life.cancel(viewer.cancellation(), self.clock.now())).await
    }

    /// Hands order `id` to the carrier, if `viewer` may see it.
    pub(crate) async fn ship(
        &self,
        viewer: &Viewer,
        id: OrderId,
        tracking_number: Option<&str>,
    ) -> Result<Option<Moved<NotShippable>>, DbErr> {
        let number = || tracking_number.map(ToOwned::to_owned);
        self.change(viewer, id, |life| life.ship(number(), self.clock.now())).await
    }

    /// Notes that order `id` has arrived, if `viewer` may see it.
    pub(crate) async fn deliver(
        &self,
        viewer: &Viewer,
        id: OrderId,
    ) -> Result<Option<Moved<NotDeliverable>>, DbErr> {
        self.change(viewer, id, |life| life.deliver(self.clock.now())).await
    }

    /// Applies what another service says about order `id`, in the transaction of its message. `None` if there is no such order.
    pub(crate) async fn happened(
        &self,
        transaction: &Transaction,
        id: OrderId,
        what: Happening,
    ) -> Result<Option<News>, DbErr> {
        let with_id = Condition::all().add(order::Column::Id.eq(id.0));
        let Some(mut life) = locked(transaction, with_id).await? else { return Ok(None) };
        let consequence = life.happened(what, self.clock.now());
        if let Consequence::Changed(change) = &consequence {
            self.write(transaction, &life, change).await?;
        }
        Ok(Some(News { order: life.order, consequence }))
    }

    /// Cancels at most `limit` orders that have been pending for longer than `patience`, oldest first, and returns them. Orders that
    /// another replica, or a message, is changing at this moment are left to it.
    pub(crate) async fn time_out(&self, patience: TimeDelta, limit: u64) -> Result<Vec<Order>, DbErr> {
        let cancel = |transaction: Transaction| async move {
            let overdue = pending()
                .filter(order::Column::CreatedAt.lt(self.clock.now() - patience))
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(&transaction)
                .await?;
            let mut cancelled = Vec::new();
            for order in with_items(&transaction, overdue).await? {
                let timeline = timeline_of(&transaction, &order).await?;
                let mut life = Life { order, timeline };
                if let Ok(Some(change)) = life.cancel(Cancellation::timed_out(), self.clock.now()) {
                    // A part of the order's trace, as everything else that happens to it.
                    let span = tracing::info_span!("time out order", otel.kind = "internal");
                    TraceParent::from_stored(life.order.trace_parent.clone()).continue_in(&span);
                    self.write(&transaction, &life, &change).instrument(span).await?;
                    cancelled.push(life.order);
                }
            }
            transaction.commit().await?;
            Ok(cancelled)
        };
        self.database.transaction(cancel).await
    }

    /// For how long the oldest pending order has been pending; zero if there is none.
    pub(crate) async fn oldest_pending(&self) -> Result<TimeDelta, DbErr> {
        let oldest = pending().limit(1).one(&self.database).await?;
        Ok(oldest.map_or(TimeDelta::zero(), |order| self.clock.now() - order.created_at))
    }

    async fn change<R>(
        &self,
        viewer: &Viewer,
        id: OrderId,
        change: impl Fn(&mut Life) -> Result<Option<Change>, R>,
    ) -> Result<Option<Moved<R>>, DbErr> {
        let visible = || visible_to(viewer).add(order::Column::Id.eq(id.0));
        let change = &change;
        let work = |transaction: Transaction| async move {
            let Some(mut life) = locked(&transaction, visible()).await? else { return Ok(None) };
            Ok(Some(match change(&mut life) {
                Ok(Some(change)) => {
                    self.write(&transaction, &life, &change).await?;
                    transaction.commit().await?;
                    Moved::Now(life)
                }
                Ok(None) => Moved::Before(life),
                Err(refusal) => Moved::Refused(refusal),
            }))
        };
        self.database.transaction(work).await
    }

    /// Writes what has changed. The order's row is locked.
    async fn write(
        &self,
        transaction: &impl ConnectionTrait,
        Life { order, .. }: &Life,
        Change { entries, announcement }: &Change,
    ) -> Result<(), DbErr> {
        timeline::add(transaction, order.id, entries).await?;
        let Some(announcement) = announcement else { return Ok(()) };
        let cancellation = order.cancellation.as_ref();
        let row = order::ActiveModel {
            id: Set(order.id.0),
            status: Set(order.status.to_string()),
            aggregate_version: Set(order.version),
            cancellation_code: Set(cancellation.map(|why| why.code.as_str().to_owned())),
            cancellation_reason: Set(cancellation.map(|why| why.reason.clone())),
            tracking_number: Set(order.tracking_number.clone()),
            ..Default::default()
        };
        order::Entity::update(row).exec_without_returning(transaction).await?;
        match announcement {
            Announcement::Confirmed(event) => self.announce(transaction, order, event).await,
            Announcement::Cancelled(event) => self.announce(transaction, order, event).await,
            Announcement::Shipped(event) => self.announce(transaction, order, event).await,
            Announcement::Delivered(event) => self.announce(transaction, order, event).await,
        }
    }
}

/// The pending orders, oldest first.
fn pending() -> sea_orm::Select<order::Entity> {
    // As in the index `orders_pending`.
    let pending = order::Column::Status.eq(OrderStatus::Pending.as_str());
    order::Entity::find().filter(pending).order_by_asc(order::Column::CreatedAt)
}

/// The order of this condition, with its row locked until the transaction ends. SQLite has one writer at a time and needs no lock.
async fn locked(transaction: &Transaction, which: Condition) -> Result<Option<Life>, DbErr> {
    let row = order::Entity::find().filter(which).lock_exclusive().one(transaction).await?;
    let Some(order) = with_items(transaction, row.into_iter().collect()).await?.pop() else {
        return Ok(None);
    };
    let timeline = timeline_of(transaction, &order).await?;
    Ok(Some(Life { order, timeline }))
}
