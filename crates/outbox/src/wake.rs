//! Being woken by a commit: PostgreSQL's LISTEN. Where there is none, polling alone must do, and does.

use std::{convert::Infallible, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use crate::retry::jittered;

/// What a notification can be about.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    /// A transaction with events has committed.
    pub(crate) work: Notify,
    /// The leader has given its lease back.
    pub(crate) lease: Notify,
}

/// The payload of the notification that the lease is free; that of a commit is empty.
pub(crate) const RELEASED: &str = "released";

/// Listens for as long as it is polled, and tells `woken` of every notification.
///
/// A pooler in transaction mode answers LISTEN and never notifies: nothing is lost, polling goes on underneath.
pub(crate) async fn listen(database: &DatabaseConnection, woken: &Woken) -> Infallible {
    if database.get_database_backend() != DbBackend::Postgres {
        return std::future::pending().await;
    }
    loop {
        if let Err(error) = listen_once(database, woken).await {
            tracing::debug!(error = format!("{error:#}"), "not listening, only polling");
        }
        tokio::time::sleep(jittered(Duration::from_secs(2))).await;
    }
}

async fn listen_once(database: &DatabaseConnection, woken: &Woken) -> Result<(), sea_orm::DbErr> {
    let schema = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS schema");
    let Some(row) = database.query_one_raw(schema).await? else { return Ok(()) };
    let channel = format!("outbox.{}", row.try_get::<String>("", "schema")?);
    let driver = |error: sqlx::Error| sea_orm::DbErr::Custom(error.to_string());
    let mut listener =
        PgListener::connect_with(database.get_postgres_connection_pool()).await.map_err(driver)?;
    listener.listen(&channel).await.map_err(driver)?;
    // What happened while nobody listened.
    woken.work.notify_one();
    woken.lease.notify_one();
    // `None`: the connection broke, and notifications may have been missed.
    while let Some(notification) = listener.try_recv().await.map_err(driver)? {
        let about = if notification.payload() == RELEASED { &woken.lease } else { &woken.work };
        about.notify_one();
    }
    Ok(())
}
