//! Acknowledged changes are stored, whatever failed before.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use sea_orm::ConnectionTrait as _;
use shop_runtime::database::{self, Database, Settings};
use shop_testing::{Dice, Held, Proxy};
use tokio::time::timeout;

use crate::support::{SCHEMA, administer, ids, insert, migrated, number};

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = migrated(&format!("sqlite://{}", folder.path().join("things.db").display()), SCHEMA).await;
    swallows_an_error(&sqlite).await;
    let Some(postgres) = shop_testing::postgres().await else { return };
    swallows_an_error(&migrated(&postgres.url, SCHEMA).await).await;
}

async fn swallows_an_error(database: &Database) {
    insert(database, 1, "").await.unwrap();
    let transaction = database::begin(database).await.unwrap();
    insert(&transaction, 2, "").await.unwrap();
    assert!(insert(&transaction, 1, "").await.is_err());
    assert!(insert(&transaction, 3, "").await.is_err(), "nothing more is done in it");
    assert!(transaction.commit().await.is_err(), "an error that nobody looked at is not forgotten");
    let swallowed = database.transaction(|transaction| async move {
        insert(&transaction, 4, "").await?;
        let _ = insert(&transaction, 1, "").await;
        transaction.commit().await
    });
    assert!(swallowed.await.is_err());
    assert_eq!(ids(database).await, [1]);
}

/// The driver sends BEGIN, and nobody awaits the answer.
#[tokio::test]
async fn a_beginning_that_is_cancelled_does_not_swallow_what_is_written_next() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let proxy = Proxy::to(&postgres.url).await;
    let database = migrated(proxy.url(), Settings::from(SCHEMA).connections(1)).await;
    for id in 1..=5 {
        // The connection has just answered, and is back in the pool.
        ids(&database).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        proxy.hold(Held::Answers);
        assert!(timeout(Duration::from_millis(50), database::begin(&database)).await.is_err());
        proxy.hold(Held::Nothing);
        insert(&database, id, "").await.unwrap();
        assert_eq!(number(&postgres.url, "SELECT count(*) FROM things.things").await, id);
    }
}

#[tokio::test]
async fn whatever_fails_before_what_is_acknowledged_is_there_on_postgresql() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let proxy = Proxy::to(&postgres.url).await;
    for seed in 0..4 {
        let database = migrated(proxy.url(), Settings::from(SCHEMA).connections(3)).await;
        administer(&postgres.url, "DELETE FROM things.things").await;
        let mut dice = Dice::new(seed);
        let acknowledged = write_among(&database, &mut dice, 150, async |dice| match dice.below(8) {
            0 => proxy.cut(),
            1 => {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                           AND datname = current_database() AND application_name = 'things'";
                administer(&postgres.url, end).await;
            }
            2 => proxy.hold(Held::Answers),
            _ => proxy.hold(Held::Nothing),
        });
        let acknowledged = acknowledged.await;
        proxy.hold(Held::Nothing);
        drop(database);
        let rows = ids(&migrated(&postgres.url, SCHEMA).await).await;
        let lost: Vec<_> = acknowledged.iter().filter(|id| !rows.contains(id)).collect();
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
        assert!(acknowledged.len() > 20, "seed {seed}: only {}", acknowledged.len());
    }
}

#[tokio::test]
async fn whatever_fails_before_what_is_acknowledged_is_there_on_sqlite() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("things.db").display());
        let database = migrated(&url, SCHEMA).await;
        let mut dice = Dice::new(seed);
        let acknowledged = write_among(&database, &mut dice, 300, async |dice| {
            // It can fill up at any moment, like a disk; a new connection has no limit.
            if dice.chance(20) {
                let pages = dice.between(1, 40);
                let _ = database.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await;
            }
        });
        let acknowledged = acknowledged.await;
        assert!(acknowledged.len() > 50, "seed {seed}: only {}", acknowledged.len());
        drop(database);
        let rows = ids(&migrated(&url, SCHEMA).await).await;
        let lost: Vec<_> = acknowledged.iter().filter(|id| !rows.contains(id)).collect();
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
    }
}

/// Writes repeatedly, alone or in transactions, some of which are cancelled, fail, panic or are abandoned, with a
/// `fault` in between; returns what was acknowledged.
async fn write_among(
    database: &Database,
    dice: &mut Dice,
    writes: i64,
    mut fault: impl AsyncFnMut(&mut Dice),
) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for id in 1..=writes {
        fault(dice).await;
        let filler = &"x".repeat(dice.between(1, 3000) as usize);
        let (kind, cut) = (dice.below(10), dice.millis(0, 8));
        let write = async {
            match kind {
                0..=2 => insert(database, id, filler).await.is_ok(),
                3 => {
                    let in_transaction = database.transaction(|transaction| async move {
                        insert(&transaction, id, filler).await?;
                        let _ = insert(&transaction, id, filler).await;
                        transaction.commit().await
                    });
                    in_transaction.await.is_ok()
                }
                4 => {
                    let panicking = database.transaction(|transaction| async move {
                        insert(&transaction, id, filler).await?;
                        if filler.len() < 4000 {
                            panic!("between begin and commit");
                        }
                        transaction.commit().await
                    });
                    AssertUnwindSafe(panicking).catch_unwind().await.is_ok_and(|outcome| outcome.is_ok())
                }
                _ => {
                    let in_transaction = database.transaction(|transaction| async move {
                        insert(&transaction, id, filler).await?;
                        insert(&transaction, -id, filler).await?;
                        transaction.commit().await
                    });
                    in_transaction.await.is_ok()
                }
            }
        };
        let patience = if dice.chance(30) { cut } else { Duration::from_millis(400) };
        if timeout(patience, write).await == Ok(true) {
            acknowledged.push(id);
        }
    }
    acknowledged
}
