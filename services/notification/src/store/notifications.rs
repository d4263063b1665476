use std::str::FromStr;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, OnConflict},
};
use serde::Serialize;
use shop_core::OrderId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Store,
    entity::notification::{ActiveModel, Column, Entity, Model},
    unreadable,
};
use crate::domain::Channel;

/// Whether somebody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The mail server or the Bot API has taken it over.
    Sent,
    /// Nobody can be told: the customer has blocked the bot.
    Skipped,
}

impl State {
    /// The name on the wire, in the database and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Skipped => "skipped",
        }
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Sent, Self::Skipped].into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// Something that a customer is going to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewNotification<'n> {
    /// The event's id.
    pub(crate) message_id: Uuid,
    pub(crate) order_id: OrderId,
    pub(crate) event_type: &'static str,
    pub(crate) channel: Channel,
    /// An address, or a chat.
    pub(crate) recipient: &'n str,
}

/// Something that a customer was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notification {
    pub(crate) id: Uuid,
    pub(crate) order_id: OrderId,
    pub(crate) event_type: String,
    pub(crate) channel: Channel,
    pub(crate) recipient: String,
    pub(crate) state: State,
    pub(crate) created_at: DateTime<Utc>,
}

/// Which notifications are listed, newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// Only those about this order.
    pub(crate) order_id: Option<OrderId>,
    /// Only those older than this one.
    pub(crate) before: Option<Uuid>,
    pub(crate) limit: u64,
}

impl Store {
    /// Writes down that somebody is told. Returns `None` if they were told about this event on this channel before.
    pub(crate) async fn write_down(
        &self,
        transaction: &impl ConnectionTrait,
        new: NewNotification<'_>,
    ) -> Result<Option<Uuid>, DbErr> {
        let id = self.clock.new_id();
        let row = ActiveModel {
            id: Set(id),
            message_id: Set(new.message_id),
            order_id: Set(new.order_id.0),
            event_type: Set(new.event_type.to_owned()),
            channel: Set(new.channel.as_str().to_owned()),
            recipient: Set(new.recipient.to_owned()),
            state: Set(State::Sent.as_str().to_owned()),
            created_at: Set(self.clock.now()),
        };
        let once = OnConflict::columns([Column::MessageId, Column::Channel]).do_nothing().to_owned();
        let inserted = Entity::insert(row).on_conflict(once).exec_without_returning(transaction).await?;
        Ok((inserted == 1).then_some(id))
    }

    /// Corrects a notification: nobody could be told.
    pub(crate) async fn write_down_skipped(
        &self,
        transaction: &impl ConnectionTrait,
        id: Uuid,
    ) -> Result<(), DbErr> {
        let update = Entity::update_many()
            .col_expr(Column::State, Expr::value(State::Skipped.as_str()))
            .filter(Column::Id.eq(id));
        update.exec(transaction).await.map(drop)
    }

    /// Returns a page of notifications, newest first.
    pub(crate) async fn notifications(&self, filter: Filter) -> Result<Vec<Notification>, DbErr> {
        let mut find = Entity::find();
        if let Some(order) = filter.order_id {
            find = find.filter(Column::OrderId.eq(order.0));
        }
        if let Some(before) = filter.before {
            find = find.filter(Column::Id.lt(before));
        }
        let rows = find.order_by_desc(Column::Id).limit(filter.limit).all(&self.database).await?;
        rows.into_iter().map(notification).collect()
    }
}

fn notification(row: Model) -> Result<Notification, DbErr> {
    Ok(Notification {
        id: row.id,
        order_id: OrderId(row.order_id),
        event_type: row.event_type,
        channel: row.channel.parse().map_err(|()| unreadable("channel"))?,
        recipient: row.recipient,
        state: row.state.parse().map_err(|()| unreadable("state"))?,
        created_at: row.created_at,
    })
}
