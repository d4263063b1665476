//! Deletes old messages from the inbox.

use std::{convert::Infallible, time::Duration};

use super::{ConsumerMetrics, Database};

/// How often old messages are deleted.
const ROUND: Duration = Duration::from_secs(600);

/// How many messages one statement deletes.
const CHUNK: u32 = 1_000;

/// The pause between two chunks: consumers and their inserts come first.
const BREATH: Duration = Duration::from_millis(50);

/// Deletes messages older than `retention` repeatedly, forever. Replicas that start together do not do it at the same time.
pub(super) async fn keep<D: Database>(
    database: D,
    retention: Option<Duration>,
    metrics: ConsumerMetrics,
) -> Infallible {
    match retention {
        Some(retention) => rounds(database, retention, metrics, ROUND).await,
        None => std::future::pending().await,
    }
}

async fn rounds<D: Database>(
    database: D,
    retention: Duration,
    metrics: ConsumerMetrics,
    pause: Duration,
) -> Infallible {
    loop {
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        match round(&database, retention).await {
            Ok(0) => {}
            Ok(count) => {
                metrics.forgotten(count);
                tracing::debug!(count, "the inbox has forgotten old messages");
            }
            // It is tried again next round; the handlers report a database that is away.
            Err(error) => tracing::warn!(error, "the inbox could not forget old messages"),
        }
    }
}

async fn round<D: Database>(database: &D, retention: Duration) -> Result<u64, String> {
    let mut forgotten = 0;
    loop {
        let count = database.forget(retention, CHUNK).await.map_err(|error| error.to_string())?;
        forgotten += count;
        if count < u64::from(CHUNK) {
            return Ok(forgotten);
        }
        tokio::time::sleep(BREATH).await;
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use shop_messaging::BoxError;
    use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqlitePoolOptions};

    use super::*;
    use crate::{Pool, migration};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// An inbox with `old` messages of the day before yesterday, and one of now.
    async fn inbox(old: u32) -> SqlitePool {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        migration::apply_inbox(&Pool::from(pool.clone())).await.unwrap();
        let rows = "
            WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
            INSERT INTO inbox_messages (consumer, message_id, received_at)
            SELECT 'a', randomblob(16), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-2 days') FROM numbers";
        sqlx::query(rows).bind(old).execute(&pool).await.unwrap();
        let new = "INSERT INTO inbox_messages (consumer, message_id) VALUES ('a', randomblob(16))";
        sqlx::query(new).execute(&pool).await.unwrap();
        pool
    }

    async fn count(pool: &SqlitePool) -> u32 {
        sqlx::query_scalar("SELECT count(*) FROM inbox_messages").fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn a_round_forgets_all_that_is_old_and_nothing_else() {
        let pool = inbox(2 * CHUNK + 1).await;
        assert_eq!(round(&pool, 3 * DAY).await.unwrap(), 0);
        assert_eq!(round(&pool, DAY).await.unwrap(), u64::from(2 * CHUNK + 1));
        assert_eq!(count(&pool).await, 1);
    }

    /// Counts the rounds.
    #[derive(Clone, Default)]
    struct Rounds(Arc<AtomicU32>);

    impl Database for Rounds {
        type Transaction = Transaction<'static, Sqlite>;

        async fn begin(&self) -> Result<Self::Transaction, BoxError> {
            Err("it has no database".into())
        }

        async fn forget(&self, _: Duration, _: u32) -> Result<u64, BoxError> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err("away".into()),
                _ => Ok(0),
            }
        }
    }

    #[tokio::test]
    async fn rounds_go_on_after_a_failure_and_do_not_begin_at_the_start() {
        let (counted, metrics) = (Rounds::default(), ConsumerMetrics::new("a"));
        let pause = Duration::from_millis(100);
        let keeping = rounds(counted.clone(), DAY, metrics.clone(), pause);
        let _ = tokio::time::timeout(pause.mul_f64(0.4), keeping).await;
        assert_eq!(
            counted.0.load(Ordering::SeqCst),
            0,
            "replicas that start together do not forget together"
        );
        let three = async {
            while counted.0.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(pause / 10).await;
            }
        };
        tokio::select! {
            never = rounds(counted.clone(), DAY, metrics, pause) => match never {},
            done = tokio::time::timeout(100 * pause, three) => done.unwrap(),
        }
    }
}
