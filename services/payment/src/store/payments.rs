use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, OnConflict, Query},
};
use shop_core::{OrderId, PaymentId};
use shop_runtime::TraceParent;

use super::{
    Store,
    entity::{cancelled_order, payment},
    row,
};
use crate::domain::{Doubt, Payment, State};

/// How long the cancellation of an order without a payment is remembered: longer than the inbox, after which nothing is replayed.
const REMEMBERED: TimeDelta = TimeDelta::days(35);
/// How often old ones are forgotten.
pub(crate) const FORGET_INTERVAL: Duration = Duration::from_secs(600);
const CHUNK: u64 = 1000;

/// Writes a new payment, unless its order has one already. The events of one order are handled one after another, so no
/// cancellation can be missed here.
pub(crate) async fn open(
    transaction: &impl ConnectionTrait,
    mut payment: Payment,
    trace: &TraceParent,
    now: DateTime<Utc>,
) -> Result<Option<Payment>, DbErr> {
    let cancelled = cancelled_order::Entity::find_by_id(payment.order_id.0).one(transaction).await?;
    if cancelled.is_some() {
        payment.cancel(now);
    }
    let mut new = row::write(&payment);
    new.traceparent = Set(trace.as_text().map(str::to_owned));
    let nothing = OnConflict::column(payment::Column::OrderId).do_nothing().to_owned();
    let inserted =
        payment::Entity::insert(new).on_conflict(nothing).exec_without_returning(transaction).await?;
    Ok((inserted == 1).then_some(payment))
}

/// Records that order `order_id` was cancelled, and returns its payment if there is one.
pub(crate) async fn cancel(
    transaction: &impl ConnectionTrait,
    order_id: OrderId,
    now: DateTime<Utc>,
) -> Result<Option<Payment>, DbErr> {
    // The lock comes before the change: the worker may be recording an outcome.
    let found = payment::Entity::find()
        .filter(payment::Column::OrderId.eq(order_id.0))
        .lock_exclusive()
        .one(transaction)
        .await?;
    let Some(found) = found else {
        let cancelled = cancelled_order::ActiveModel { order_id: Set(order_id.0), created_at: Set(now) };
        let nothing = OnConflict::column(cancelled_order::Column::OrderId).do_nothing().to_owned();
        cancelled_order::Entity::insert(cancelled)
            .on_conflict(nothing)
            .exec_without_returning(transaction)
            .await?;
        return Ok(None);
    };
    let mut payment = row::read(found)?;
    payment.cancel(now);
    payment::Entity::update(row::write(&payment)).exec_without_returning(transaction).await?;
    Ok(Some(payment))
}

impl Store {
    /// Returns payments, newest first, at most `limit`, and older than `after`; only that of `order_id` if it is given.
    pub(crate) async fn list(
        &self,
        order_id: Option<OrderId>,
        after: Option<PaymentId>,
        limit: u64,
    ) -> Result<Vec<Payment>, DbErr> {
        let of_order = order_id.map(|id| payment::Column::OrderId.eq(id.0));
        let older = after.map(|id| payment::Column::Id.lt(id.0));
        let rows = payment::Entity::find()
            .filter(Condition::all().add_option(of_order).add_option(older))
            .order_by_desc(payment::Column::Id)
            .limit(limit)
            .all(&self.database)
            .await?;
        rows.into_iter().map(row::read).collect()
    }

    /// Makes the payment of `order_id` due now if the provider has something to say about it. Returns whether it was changed.
    pub(crate) async fn hasten(&self, order_id: OrderId) -> Result<bool, DbErr> {
        let now = self.clock.now();
        let in_doubt = Condition::all()
            .add(payment::Column::State.eq(State::Pending.as_str()))
            .add(payment::Column::Doubt.ne(Doubt::None.as_str()));
        let asked = Condition::any().add(in_doubt).add(payment::Column::State.eq(State::Refunding.as_str()));
        let changed = payment::Entity::update_many()
            .col_expr(payment::Column::DueAt, Expr::value(now))
            .filter(payment::Column::OrderId.eq(order_id.0))
            .filter(payment::Column::DueAt.gt(now))
            .filter(asked)
            .exec(&self.database)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// How many payments may be charged without the shop knowing, although they were opened more than a minute ago: so calls that are
    /// just under way are not counted.
    pub(crate) async fn count_in_doubt(&self) -> Result<u64, DbErr> {
        payment::Entity::find()
            .filter(payment::Column::CreatedAt.lt(self.clock.now() - TimeDelta::minutes(1)))
            .filter(payment::Column::DueAt.is_not_null())
            .filter(payment::Column::State.eq(State::Pending.as_str()))
            .filter(payment::Column::Doubt.ne(Doubt::None.as_str()))
            .count(&self.database)
            .await
    }

    /// Forgets the cancellations of orders that have never had a payment, once nothing can come any more. Returns how many.
    pub(crate) async fn forget_cancelled_orders(&self) -> Result<u64, DbErr> {
        let before = self.clock.now() - REMEMBERED;
        let mut forgotten = 0;
        loop {
            let mut old = Query::select();
            old.column(cancelled_order::Column::OrderId)
                .from(cancelled_order::Entity)
                .and_where(Expr::col(cancelled_order::Column::CreatedAt).lt(before))
                .limit(CHUNK);
            let deleted = cancelled_order::Entity::delete_many()
                .filter(cancelled_order::Column::OrderId.in_subquery(old))
                .exec(&self.database)
                .await?;
            forgotten += deleted.rows_affected;
            if deleted.rows_affected < CHUNK {
                return Ok(forgotten);
            }
        }
    }
}
