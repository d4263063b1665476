//! Idempotency keys: reserved before the work, and answered in the work's own transaction.
//!
//! A reservation is a lease. If an attempt crashes, its reservation stays until it expires, and then the next attempt takes
//! the key over. If the first attempt is alive after all, its transaction finds that the key is no longer its own.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    Store,
    entity::idempotency_key::{ActiveModel, Column, Entity},
    unreadable,
};

/// How long an attempt may take. A request is answered or dropped within 15 seconds.
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// How long a response is kept.
const RETENTION: TimeDelta = TimeDelta::hours(24);
/// How many keys one statement deletes.
const CHUNK: u64 = 500;

/// How often expired keys are deleted. An expired key is free at once, even if its row still exists.
pub(crate) const RETIREMENT_INTERVAL: Duration = Duration::from_secs(600);

/// The response to a request, to be returned again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Location`.
    pub location: String,
    /// The body, as JSON, without the order token.
    pub body: String,
    /// A guest's order token, hidden by a pad that only the key's owner can derive.
    pub sealed_token: Option<[u8; 32]>,
}

/// The right to respond to the request with this key.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    key: [u8; 32],
    attempt: Uuid,
}

impl Reservation {
    /// The key, and the attempt that holds it.
    pub(super) fn parts(&self) -> ([u8; 32], Uuid) {
        (self.key, self.attempt)
    }
}

/// The state of a key.
#[derive(Debug)]
pub(crate) enum KeyState {
    /// It was free, and is now reserved.
    Reserved(Reservation),
    /// The request already has a response.
    Answered(Answer),
    /// Another attempt at the same request is in progress.
    Running,
    /// It was used for a request with a different body.
    OtherRequest,
}

impl Store {
    /// Reserves `key` for the request with `fingerprint`, or says why not.
    pub(crate) async fn reserve(&self, key: [u8; 32], fingerprint: [u8; 32]) -> Result<KeyState, DbErr> {
        let now = self.clock.now();
        let reservation = Reservation { key, attempt: self.clock.new_id() };
        let row = ActiveModel {
            id: Set(key.to_vec()),
            fingerprint: Set(fingerprint.to_vec()),
            attempt: Set(reservation.attempt),
            leased_until: Set(now + LEASE),
            status: Set(None),
            location: Set(None),
            body: Set(None),
            sealed_token: Set(None),
            created_at: Set(now),
        };
        let old = |column: Column| Expr::col((Entity, column));
        let abandoned = Condition::all()
            .add(old(Column::Status).is_null())
            .add(old(Column::LeasedUntil).lt(now))
            .add(old(Column::Fingerprint).eq(fingerprint.to_vec()));
        let free = Condition::any().add(old(Column::CreatedAt).lt(now - RETENTION)).add(abandoned);
        let take = OnConflict::column(Column::Id)
            .update_columns([
                Column::Fingerprint,
                Column::Attempt,
                Column::LeasedUntil,
                Column::Status,
                Column::Location,
                Column::Body,
                Column::SealedToken,
                Column::CreatedAt,
            ])
            .action_cond_where(free)
            .to_owned();
        if Entity::insert(row).on_conflict(take).exec_without_returning(&self.database).await? == 1 {
            return Ok(KeyState::Reserved(reservation));
        }
        let Some(row) = Entity::find_by_id(key.to_vec()).one(&self.database).await? else {
            // Released between the two statements: the next attempt will get it.
            return Ok(KeyState::Running);
        };
        if row.fingerprint != fingerprint {
            return Ok(KeyState::OtherRequest);
        }
        Ok(match (row.status, row.location, row.body) {
            (Some(status), Some(location), Some(body)) => {
                let sealed_token = row.sealed_token.map(TryInto::try_into).transpose();
                let sealed_token = sealed_token.map_err(|_| unreadable("sealed_token"))?;
                KeyState::Answered(Answer { status: status.cast_unsigned(), location, body, sealed_token })
            }
            _ => KeyState::Running,
        })
    }

    /// Gives up the reservation of a request that had no effect, so that the key can be used again.
    pub(crate) async fn release(&self, reservation: &Reservation) -> Result<(), DbErr> {
        Entity::delete_many().filter(held_by(reservation)).exec(&self.database).await?;
        Ok(())
    }

    /// Deletes expired keys, one chunk at a time; returns their number.
    pub(crate) async fn retire_keys(&self) -> Result<u64, DbErr> {
        let limit = self.clock.now() - RETENTION;
        let mut retired = 0;
        loop {
            // SKIP LOCKED: replicas that delete at the same time share the work instead of waiting for each other.
            let chunk = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::CreatedAt.lt(limit))
                .order_by_asc(Column::CreatedAt)
                .limit(CHUNK)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .into_query();
            let deleted =
                Entity::delete_many().filter(Column::Id.in_subquery(chunk)).exec(&self.database).await?;
            retired += deleted.rows_affected;
            if deleted.rows_affected < CHUNK {
                return Ok(retired);
            }
        }
    }
}

/// Stores `answer` for the key, in the same transaction as the order. Returns `false` if the reservation has been lost.
pub(super) async fn keep(
    transaction: &impl ConnectionTrait,
    reservation: &Reservation,
    answer: &Answer,
) -> Result<bool, DbErr> {
    let kept = Entity::update_many()
        .col_expr(Column::Status, Expr::value(answer.status.cast_signed()))
        .col_expr(Column::Location, Expr::value(answer.location.as_str()))
        .col_expr(Column::Body, Expr::value(answer.body.as_str()))
        .col_expr(Column::SealedToken, Expr::value(answer.sealed_token.map(|sealed| sealed.to_vec())))
        .filter(held_by(reservation))
        .exec(transaction)
        .await?;
    Ok(kept.rows_affected == 1)
}

/// The key's row, as long as it belongs to this attempt and has no response.
fn held_by(reservation: &Reservation) -> Condition {
    Condition::all()
        .add(Column::Id.eq(reservation.key.to_vec()))
        .add(Column::Attempt.eq(reservation.attempt))
        .add(Column::Status.is_null())
}
