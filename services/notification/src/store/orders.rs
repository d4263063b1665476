use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, OnConflict},
};
use shop_core::{Email, Language, Money, OrderId};

use super::{
    Store,
    entity::known_order::{ActiveModel, Column, Entity, Model},
    unreadable,
};
use crate::domain::{Channel, KnownOrder};

impl Store {
    /// Remembers an order for `channel`. What is known already stays as it is: an `order_created` that is replayed knows nothing newer.
    pub(crate) async fn remember(
        &self,
        transaction: &impl ConnectionTrait,
        channel: Channel,
        order: &KnownOrder,
    ) -> Result<(), DbErr> {
        let row = ActiveModel {
            order_id: Set(order.order_id.0),
            channel: Set(channel.as_str().to_owned()),
            customer_email: Set(order.customer_email.to_string()),
            language: Set(order.language.map(|language| language.code().to_owned())),
            items: Set(serde_json::to_string(&order.items).map_err(|error| DbErr::Json(error.to_string()))?),
            total_amount: Set(order.total_amount.minor()),
            currency: Set(order.currency.to_string()),
            sealed_token: Set(order.sealed_token.clone()),
            was_confirmed: Set(order.was_confirmed),
            created_at: Set(self.clock.now()),
        };
        let known = OnConflict::columns([Column::OrderId, Column::Channel]).do_nothing().to_owned();
        Entity::insert(row).on_conflict(known).exec_without_returning(transaction).await.map(drop)
    }

    /// Remembers that an order was confirmed, if it is known.
    pub(crate) async fn remember_confirmed(
        &self,
        transaction: &impl ConnectionTrait,
        channel: Channel,
        id: OrderId,
    ) -> Result<(), DbErr> {
        let update = Entity::update_many()
            .col_expr(Column::WasConfirmed, Expr::value(true))
            .filter(Column::OrderId.eq(id.0))
            .filter(Column::Channel.eq(channel.as_str()));
        update.exec(transaction).await.map(drop)
    }

    /// Returns order `id` as `channel` knows it.
    pub(crate) async fn known(
        &self,
        transaction: &impl ConnectionTrait,
        channel: Channel,
        id: OrderId,
    ) -> Result<Option<KnownOrder>, DbErr> {
        let row = Entity::find_by_id((id.0, channel.as_str().to_owned())).one(transaction).await?;
        row.map(known_order).transpose()
    }
}

fn known_order(row: Model) -> Result<KnownOrder, DbErr> {
    Ok(KnownOrder {
        order_id: OrderId(row.order_id),
        customer_email: Email::from_stored(&row.customer_email).map_err(|_| unreadable("customer_email"))?,
        language: row.language.as_deref().and_then(Language::of_tag),
        items: serde_json::from_str(&row.items).map_err(|_| unreadable("items"))?,
        total_amount: Money::from_minor(row.total_amount).map_err(|_| unreadable("total_amount"))?,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        sealed_token: row.sealed_token,
        was_confirmed: row.was_confirmed,
    })
}
