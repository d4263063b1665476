//! Being woken by a commit: PostgreSQL's LISTEN. Without it, polling alone is enough.

use std::{convert::Infallible, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{sync::Notify, time::timeout};

use crate::{Pool, Store, StoreError, retry::jittered, sql::lease::RELEASED};

/// The meaning of a notification.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    /// A transaction with events has committed.
    pub(crate) work: Notify,
    /// The leader has released its lease.
    pub(crate) lease: Notify,
}

/// How long a silent connection is listened to. The server behind it may no longer be the right one (it was demoted, but is alive),
/// so the connection then returns to the pool, which checks it before it is used again.
const SILENCE: Duration = Duration::from_secs(30);

/// Listens as long as it is polled, on a connection of the store's pool, and passes every notification on to `woken`.
///
/// A pooler that does not forward LISTEN accepts it and never notifies: nothing is lost, because polling continues.
pub(crate) async fn listen(store: &Store, woken: &Woken) -> Infallible {
    match store.pool() {
        Pool::Postgres(pool) => listen_on(store, pool, woken).await,
        #[cfg(feature = "sqlite")]
        Pool::Sqlite(_) => std::future::pending().await,
    }
}

async fn listen_on(store: &Store, pool: &PgPool, woken: &Woken) -> Infallible {
    loop {
        match listen_once(store, pool, woken).await {
            Ok(Silent) => continue,
            Err(error) => tracing::debug!(error = format!("{error:#}"), "not listening, only polling"),
        }
        tokio::time::sleep(jittered(Duration::from_secs(2))).await;
    }
}

/// Nothing was heard for a while.
struct Silent;

async fn listen_once(store: &Store, pool: &PgPool, woken: &Woken) -> Result<Silent, StoreError> {
    let channel = store.channel().await?;
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(&channel).await?;
    // Things may have happened while nobody listened.
    woken.work.notify_one();
    woken.lease.notify_one();
    loop {
        let Ok(heard) = timeout(SILENCE, listener.try_recv()).await else { return Ok(Silent) };
        // `None`: the connection broke, and notifications may have been missed.
        let notification = heard?.ok_or_else(|| sqlx::Error::Protocol("the connection broke".to_owned()))?;
        let about = if notification.payload() == RELEASED { &woken.lease } else { &woken.work };
        about.notify_one();
    }
}
