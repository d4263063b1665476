//! Being woken by a commit: PostgreSQL's LISTEN. Where there is none, polling alone must do, and does.

use std::{convert::Infallible, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, Statement};
use sqlx::postgres::PgListener;
use tokio::{sync::Notify, time::timeout};

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

/// How long a connection is listened to that says nothing. The server behind it may be none any more (it was demoted, and lives),
/// so it then goes back to the pool, which looks at it before it is used again.
const SILENCE: Duration = Duration::from_secs(30);

/// Listens for as long as it is polled, and tells `woken` of every notification.
///
/// A pooler that does not pass LISTEN on answers it and never notifies: nothing is lost, polling goes on underneath.
pub(crate) async fn listen(database: &DatabaseConnection, woken: &Woken) -> Infallible {
    if database.get_database_backend() != DbBackend::Postgres {
        return std::future::pending().await;
    }
    loop {
        match listen_once(database, woken).await {
            Ok(Silent) => continue,
            Err(error) => tracing::debug!(error = format!("{error:#}"), "not listening, only polling"),
        }
        tokio::time::sleep(jittered(Duration::from_secs(2))).await;
    }
}

/// Nothing was heard for a while.
struct Silent;

async fn listen_once(database: &DatabaseConnection, woken: &Woken) -> Result<Silent, DbErr> {
    let schema = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS schema");
    let row = database.query_one_raw(schema).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the schema".to_owned()))?;
    let channel = format!("outbox.{}", row.try_get::<String>("", "schema")?);
    let driver = |error: sqlx::Error| DbErr::Custom(error.to_string());
    let mut listener =
        PgListener::connect_with(database.get_postgres_connection_pool()).await.map_err(driver)?;
    listener.listen(&channel).await.map_err(driver)?;
    // What happened while nobody listened.
    woken.work.notify_one();
    woken.lease.notify_one();
    loop {
        let Ok(heard) = timeout(SILENCE, listener.try_recv()).await else { return Ok(Silent) };
        // `None`: the connection broke, and notifications may have been missed.
        let heard = heard.map_err(driver)?;
        let notification = heard.ok_or_else(|| DbErr::Custom("the connection broke".to_owned()))?;
        let about = if notification.payload() == RELEASED { &woken.lease } else { &woken.work };
        about.notify_one();
    }
}
