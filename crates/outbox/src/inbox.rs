//! The other end: a consumer's inbox, so that a message that arrives twice takes effect once.
//!
//! A broker delivers at least once, and so does the publisher: after a crash, what was sent and not yet marked is sent
//! again, with the same `message_id`. A consumer that writes its effect and the `message_id` in one transaction absorbs
//! that: whichever delivery commits first wins, and any other finds the id taken.
//!
//! ```
//! use sea_orm::{DatabaseConnection, DbErr, TransactionTrait as _};
//! use shop_messaging::Message;
//! use shop_outbox::inbox::{self, Receipt};
//!
//! async fn handle(database: &DatabaseConnection, message: &Message) -> Result<(), DbErr> {
//!     let transaction = database.begin().await?;
//!     if inbox::receive(&transaction, "mailer", message.id).await? == Receipt::New {
//!         // … the effect, in the same transaction …
//!     }
//!     transaction.commit().await
//! }
//! ```

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

/// Whether a message has been here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Receipt {
    /// It is new: its effect belongs into this transaction.
    New,
    /// Its effect has been committed already: acknowledge it and do nothing.
    Duplicate,
}

/// Takes `message_id` into the inbox of `consumer`, in the transaction that `connection` is.
///
/// While another transaction has taken the same id and has not ended, this waits for it: it is a duplicate if that one
/// commits, and new if it rolls back.
///
/// # Errors
/// The database refuses the row or is away; the transaction should be rolled back and the message delivered again.
pub async fn receive(
    connection: &impl ConnectionTrait,
    consumer: &str,
    message_id: Uuid,
) -> Result<Receipt, DbErr> {
    let insert = "INSERT INTO inbox_messages (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let values = [consumer.into(), message_id.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), insert, values);
    let inserted = connection.execute_raw(statement).await?.rows_affected();
    Ok(if inserted == 1 { Receipt::New } else { Receipt::Duplicate })
}

/// Forgets at most `chunk` messages of all consumers that were received longer than `retention` ago; answers how many.
///
/// Keep them for longer than a message can take to arrive again: the outbox's retention, and whatever may be replayed from
/// a dead-letter queue.
///
/// # Errors
/// The database is away.
pub async fn forget(database: &DatabaseConnection, retention: Duration, chunk: u32) -> Result<u64, DbErr> {
    let backend = database.get_database_backend();
    let seconds = retention.as_secs_f64();
    let (delete, age): (_, Value) = if backend == DbBackend::Postgres {
        let delete = "DELETE FROM inbox_messages WHERE (consumer, message_id) IN (
                SELECT consumer, message_id FROM inbox_messages
                WHERE received_at < clock_timestamp() - make_interval(secs => $1)
                ORDER BY received_at LIMIT $2)";
        (delete, seconds.into())
    } else {
        let delete = "DELETE FROM inbox_messages WHERE (consumer, message_id) IN (
                SELECT consumer, message_id FROM inbox_messages
                WHERE received_at < strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || $1 || ' seconds')
                ORDER BY received_at LIMIT $2)";
        (delete, format!("{seconds:.3}").into())
    };
    let statement = Statement::from_sql_and_values(backend, delete, [age, i64::from(chunk).into()]);
    Ok(database.execute_raw(statement).await?.rows_affected())
}
