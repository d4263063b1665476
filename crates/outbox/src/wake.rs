//! Being woken by a commit: PostgreSQL's LISTEN. Where there is none, polling alone must do, and does.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use crate::retry::jittered;

/// Listens for as long as it is polled, and tells `woken` of every notification.
///
/// A pooler in transaction mode answers LISTEN and never notifies: nothing is lost, polling goes on underneath.
pub(crate) async fn listen(database: DatabaseConnection, woken: Arc<Notify>) -> std::convert::Infallible {
    if database.get_database_backend() != DbBackend::Postgres {
        return std::future::pending().await;
    }
    loop {
        if let Err(error) = listen_once(&database, &woken).await {
            tracing::debug!(error = format!("{error:#}"), "not listening, only polling");
        }
        tokio::time::sleep(jittered(Duration::from_secs(2))).await;
    }
}

async fn listen_once(database: &DatabaseConnection, woken: &Notify) -> Result<(), sea_orm::DbErr> {
    let schema = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS schema");
    let Some(row) = database.query_one_raw(schema).await? else { return Ok(()) };
    let channel = format!("outbox.{}", row.try_get::<String>("", "schema")?);
    let driver = |error: sqlx::Error| sea_orm::DbErr::Custom(error.to_string());
    let mut listener =
        PgListener::connect_with(database.get_postgres_connection_pool()).await.map_err(driver)?;
    listener.listen(&channel).await.map_err(driver)?;
    // What committed while nobody listened.
    woken.notify_one();
    // `None`: the connection broke, and notifications may have been missed.
    while listener.try_recv().await.map_err(driver)?.is_some() {
        woken.notify_one();
    }
    Ok(())
}
