use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};
use shop_core::{Clock, Currency, Money, OrderId};
use shop_runtime::database::{Database, Transaction};
use utoipa::ToSchema;

use super::entity::{call, charge, switch};
use crate::domain::Bill;

/// How often …03 fails.
const FAILURES: i32 = 2;

/// The simulated provider's books.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    database: Database,
    clock: Clock,
}

/// A charge in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// The key of the call that made it.
    pub idempotency_key: String,
    /// The order, as the shop named it.
    pub order_id: OrderId,
    /// What was charged, or should have been.
    pub amount: Money,
    /// The amount's currency.
    pub currency: Currency,
    /// What became of it.
    pub state: ChargeState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChargeState {
    /// The customer is charged.
    Charged,
    /// The customer is not charged.
    Declined,
    /// The customer was charged and has got it back.
    Refunded,
}

/// What an administrator can switch at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Switch {
    /// Whether all calls are refused. Off at first.
    Outage,
    /// Whether charges whose amount ends in 05 are refused. On at first.
    UnavailableAmounts,
}

/// An entry in the books after a call.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) charge: Charge,
    /// Whether this call wrote it.
    pub(super) is_new: bool,
}

impl Books {
    /// The books in `database`.
    pub(crate) fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Returns charges, newest order first, at most `limit`, and of orders older than `after`; only that of `order_id` if it is given.
    pub(crate) async fn list(
        &self,
        order_id: Option<OrderId>,
        after: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<Charge>, DbErr> {
        let of_order = order_id.map(|id| charge::Column::OrderId.eq(id.0));
        let older = after.map(|id| charge::Column::OrderId.lt(id.0));
        let rows = charge::Entity::find()
            .filter(Condition::all().add_option(of_order).add_option(older))
            .order_by_desc(charge::Column::OrderId)
            .limit(limit)
            .all(&self.database)
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// Whether a switch is on.
    pub(crate) async fn is_on(&self, switch: Switch) -> Result<bool, DbErr> {
        let found = switch::Entity::find_by_id(switch.as_str()).one(&self.database).await?;
        Ok(found.map_or(switch.is_on_at_first(), |row| row.is_on))
    }

    /// Switches it, for all replicas.
    pub(crate) async fn switch(&self, switch: Switch, is_on: bool) -> Result<(), DbErr> {
        let row = switch::ActiveModel { name: Set(switch.as_str().to_owned()), is_on: Set(is_on) };
        let replace = OnConflict::column(switch::Column::Name).update_column(switch::Column::IsOn).to_owned();
        switch::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.database).await?;
        Ok(())
    }

    /// The charge of a key.
    pub(super) async fn find(&self, key: &str) -> Result<Option<Charge>, DbErr> {
        find(&self.database, key).await
    }

    /// Writes a charge, unless the key has one. Returns the key's charge, or `None` if the key is void.
    pub(super) async fn keep(&self, bill: &Bill, state: ChargeState) -> Result<Option<Kept>, DbErr> {
        let keep = |transaction: Transaction| async move {
            let call = lock(&transaction, &bill.idempotency_key).await?;
            if let Some(charge) = find(&transaction, &bill.idempotency_key).await? {
                return Ok(Some(Kept { charge, is_new: false }));
            }
            if call.void {
                return Ok(None);
            }
            let charge = Charge {
                idempotency_key: bill.idempotency_key.clone(),
                order_id: bill.order_id,
                amount: bill.amount,
                currency: bill.currency,
                state,
                created_at: self.clock.now(),
            };
            charge::Entity::insert(write(&charge)).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(Some(Kept { charge, is_new: true }))
        };
        self.database.transaction(keep).await
    }

    /// Whether this call for the key is one of those that fail on purpose.
    pub(super) async fn fails(&self, bill: &Bill) -> Result<bool, DbErr> {
        let fails = |transaction: Transaction| async move {
            let call::Model { idempotency_key, failures, .. } =
                lock(&transaction, &bill.idempotency_key).await?;
            if failures >= FAILURES {
                return Ok(false);
            }
            let change = call::ActiveModel {
                idempotency_key: Set(idempotency_key),
                failures: Set(failures + 1),
                ..Default::default()
            };
            call::Entity::update(change).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.database.transaction(fails).await
    }

    /// Makes a key void, unless it has a charge, which is returned.
    pub(super) async fn void(&self, key: &str) -> Result<Option<Charge>, DbErr> {
        let void = |transaction: Transaction| async move {
            let call::Model { idempotency_key, .. } = lock(&transaction, key).await?;
            if let Some(charge) = find(&transaction, key).await? {
                return Ok(Some(charge));
            }
            let change = call::ActiveModel {
                idempotency_key: Set(idempotency_key),
                void: Set(true),
                ..Default::default()
            };
            call::Entity::update(change).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(None)
        };
        self.database.transaction(void).await
    }

    /// Gives a charge back; `None` if there is none.
    pub(super) async fn refund(&self, key: &str) -> Result<Option<Kept>, DbErr> {
        let refund = |transaction: Transaction| async move {
            lock(&transaction, key).await?;
            let Some(mut charge) = find(&transaction, key).await? else { return Ok(None) };
            match charge.state {
                ChargeState::Declined => return Ok(None),
                ChargeState::Refunded => return Ok(Some(Kept { charge, is_new: false })),
                ChargeState::Charged => charge.state = ChargeState::Refunded,
            }
            charge::Entity::update(write(&charge)).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(Some(Kept { charge, is_new: true }))
        };
        self.database.transaction(refund).await
    }
}

/// Orders the calls for a key: a charge and its voiding never both succeed.
async fn lock(transaction: &Transaction, key: &str) -> Result<call::Model, DbErr> {
    let new = call::ActiveModel { idempotency_key: Set(key.to_owned()), failures: Set(0), void: Set(false) };
    let nothing = OnConflict::column(call::Column::IdempotencyKey).do_nothing().to_owned();
    call::Entity::insert(new).on_conflict(nothing).exec_without_returning(transaction).await?;
    let locked = call::Entity::find_by_id(key).lock_exclusive().one(transaction).await?;
    locked.ok_or_else(|| DbErr::RecordNotFound(key.to_owned()))
}

async fn find(connection: &impl ConnectionTrait, key: &str) -> Result<Option<Charge>, DbErr> {
    charge::Entity::find_by_id(key).one(connection).await?.map(read).transpose()
}

fn write(charge: &Charge) -> charge::ActiveModel {
    charge::ActiveModel {
        idempotency_key: Set(charge.idempotency_key.clone()),
        order_id: Set(charge.order_id.0),
        amount: Set(charge.amount.minor()),
        currency: Set(charge.currency.to_string()),
        state: Set(charge.state.as_str().to_owned()),
        created_at: Set(charge.created_at),
    }
}

fn read(row: charge::Model) -> Result<Charge, DbErr> {
    let unreadable = |column: &str| DbErr::Type(format!("{column} contains an invalid value"));
    Ok(Charge {
        idempotency_key: row.idempotency_key,
        order_id: OrderId(row.order_id),
        amount: Money::from_minor(row.amount).map_err(|_| unreadable("amount"))?,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        state: row.state.parse().map_err(|()| unreadable("state"))?,
        created_at: row.created_at,
    })
}

impl Switch {
    /// The name in the path and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::UnavailableAmounts => "unavailable-amounts",
        }
    }

    fn is_on_at_first(self) -> bool {
        self == Self::UnavailableAmounts
    }
}

impl ChargeState {
    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
        }
    }
}

impl fmt::Display for ChargeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChargeState {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Charged, Self::Declined, Self::Refunded]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or(())
    }
}
