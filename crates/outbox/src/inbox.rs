//! The receiving end: a consumer's inbox, so that a message that arrives twice takes effect once.
//!
//! A broker delivers at least once, and so does the publisher: after a crash, messages that were sent but not yet marked are sent
//! again, with the same `message_id`. A consumer that writes its effect and the `message_id` in one transaction handles
//! that: whichever delivery commits first wins, and any other finds the id taken.
//!
//! ```
//! use shop_messaging::Message;
//! use shop_outbox::inbox::{self, Receipt};
//! use sqlx::PgPool;
//!
//! async fn handle(database: &PgPool, message: &Message) -> Result<(), sqlx::Error> {
//!     let mut transaction = database.begin().await?;
//!     if inbox::receive_sqlx(&mut *transaction, "mailer", message.id).await? == Receipt::New {
//!         // … the effect, in the same transaction …
//!     }
//!     transaction.commit().await
//! }
//! ```
//!
//! With sea-orm it is `inbox::receive(&transaction, …)` (feature `sea-orm`).

use std::time::Duration;

use uuid::Uuid;

use crate::{
    Pool, SqlxConnection, StoreError,
    sql::inbox::{FORGET, HOLDS, RECEIVE},
    store::Statement,
};

/// Whether a message has arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Receipt {
    /// It is new: its effect belongs in this transaction.
    New,
    /// Its effect is already committed: acknowledge it and do nothing.
    Duplicate,
}

/// Records `message_id` in the inbox of `consumer`, in the transaction of `connection`.
///
/// If another transaction has recorded the same id and has not ended, this waits for it: the message is a duplicate if that one
/// commits, and new if it rolls back.
///
/// # Errors
/// The database refuses the row or is away; the transaction should be rolled back and the message delivered again.
#[cfg(feature = "sea-orm")]
pub async fn receive(
    connection: &impl sea_orm::ConnectionTrait,
    consumer: &str,
    message_id: Uuid,
) -> Result<Receipt, sea_orm::DbErr> {
    let receive = receive_statement(consumer, message_id).for_sea_orm(connection.get_database_backend());
    Ok(receipt(connection.execute_raw(receive).await?.rows_affected()))
}

/// `receive` for services that use sqlx alone: `connection` is the transaction, `&mut *transaction`.
///
/// # Errors
/// The database refuses the row or is away; the transaction should be rolled back and the message delivered again.
pub async fn receive_sqlx<'c>(
    connection: impl Into<SqlxConnection<'c>>,
    consumer: &str,
    message_id: Uuid,
) -> Result<Receipt, sqlx::Error> {
    let mut connection: SqlxConnection<'c> = connection.into();
    Ok(receipt(connection.execute(&receive_statement(consumer, message_id)).await?))
}

fn receive_statement(consumer: &str, message_id: Uuid) -> Statement<'_> {
    Statement::new(RECEIVE, [consumer.into(), message_id.into()])
}

/// Whether the row that [`receive`] has written is still there.
#[cfg(feature = "sea-orm")]
pub(crate) async fn holds(
    connection: &impl sea_orm::ConnectionTrait,
    consumer: &str,
    message_id: Uuid,
) -> Result<bool, sea_orm::DbErr> {
    let holds = holds_statement(consumer, message_id).for_sea_orm(connection.get_database_backend());
    Ok(connection.query_one_raw(holds).await?.is_some())
}

/// `holds` with sqlx alone.
pub(crate) async fn holds_sqlx(
    mut connection: SqlxConnection<'_>,
    consumer: &str,
    message_id: Uuid,
) -> Result<bool, sqlx::Error> {
    Ok(connection.fetch_optional(&holds_statement(consumer, message_id)).await?.is_some())
}

fn holds_statement(consumer: &str, message_id: Uuid) -> Statement<'_> {
    Statement::new(HOLDS, [consumer.into(), message_id.into()])
}

fn receipt(inserted: u64) -> Receipt {
    if inserted == 1 { Receipt::New } else { Receipt::Duplicate }
}

/// Deletes at most `chunk` messages, of all consumers, that were received longer than `retention` ago; returns how many.
///
/// Keep messages for longer than they can take to arrive again: the outbox's retention, and whatever may be replayed from
/// a dead-letter queue.
///
/// # Errors
/// The database is away.
#[cfg(feature = "sea-orm")]
pub async fn forget(
    database: &impl sea_orm::ConnectionTrait,
    retention: Duration,
    chunk: u32,
) -> Result<u64, sea_orm::DbErr> {
    let forget = forget_statement(retention, chunk).for_sea_orm(database.get_database_backend());
    Ok(database.execute_raw(forget).await?.rows_affected())
}

/// `forget` for services that use sqlx alone.
///
/// # Errors
/// The database is away.
pub async fn forget_sqlx(pool: &Pool, retention: Duration, chunk: u32) -> Result<u64, StoreError> {
    let mut connection = pool.acquire().await?;
    Ok(connection.sqlx().execute(&forget_statement(retention, chunk)).await?)
}

fn forget_statement(retention: Duration, chunk: u32) -> Statement<'static> {
    Statement::new(FORGET, [retention.into(), i64::from(chunk).into()])
}
