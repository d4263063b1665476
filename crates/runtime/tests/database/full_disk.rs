//! A disk that fills up: a file system in memory for one test.

use std::{fs, io::Write as _, time::Duration};

use shop_runtime::database::{Database, Failure};
use shop_testing::{servers::Durability, small_disk};

use crate::support::{SCHEMA, administer, ids, insert, migrated, until};

/// Writes in transactions until one does not fit; returns the acknowledged ones, and the failure.
async fn fill(database: &Database, from: i64, acknowledged: &mut Vec<i64>) -> Failure {
    let filler = &"x".repeat(2000);
    for id in from.. {
        let written = database.transaction(|transaction| async move {
            insert(&transaction, id, filler).await?;
            insert(&transaction, -id, filler).await?;
            transaction.commit().await
        });
        match written.await {
            Ok(()) => acknowledged.push(id),
            Err(error) => return Failure::of(&error),
        }
    }
    unreachable!("no disk is that large")
}

#[tokio::test]
async fn a_full_disk_keeps_what_it_acknowledged_says_so_and_goes_on_when_there_is_room() {
    let Some(disk) = small_disk(4) else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let url = format!("sqlite://{}", disk.path().join("things.db").display());
    let database = migrated(&url, SCHEMA).await;
    let mut acknowledged = Vec::new();
    assert_eq!(fill(&database, 1, &mut acknowledged).await, Failure::Full);
    assert!(acknowledged.len() > 20);
    // Most of what follows fails, in all the ways of a full disk; some of it may fit.
    for from in (10_000..60_000).step_by(1000) {
        let failure = fill(&database, from, &mut acknowledged).await;
        assert!(matches!(failure, Failure::Full | Failure::Away), "{failure:?}");
        if insert(&database, from + 999, "").await.is_ok() {
            acknowledged.push(from + 999);
        }
    }
    while fill(&database, 60_000, &mut acknowledged).await != Failure::Full {}
    assert!(database.check().await.is_err(), "it is not ready while there is no room");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(database.check().await.is_err(), "nor a moment later");

    fs::remove_file(&ballast).unwrap();
    until(Duration::from_secs(5), "readiness", async || database.check().await.is_ok()).await;
    for id in 100_000..100_100 {
        insert(&database, id, "x").await.unwrap();
        acknowledged.push(id);
    }
    drop(database);
    let rows = ids(&migrated(&url, SCHEMA).await).await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !rows.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
}

#[tokio::test]
async fn a_full_memory_database_keeps_what_it_has() {
    use sea_orm::ConnectionTrait as _;

    let database = migrated("sqlite::memory:", SCHEMA).await;
    insert(&database, 1_000_000, "").await.unwrap();
    let mut acknowledged = vec![1_000_000];
    database.execute_unprepared("PRAGMA max_page_count = 60").await.unwrap();
    for from in (1..20_000).step_by(1000) {
        assert_eq!(fill(&database, from, &mut acknowledged).await, Failure::Full);
    }
    assert!(database.check().await.is_err());
    database.execute_unprepared("PRAGMA max_page_count = 100000").await.unwrap();
    insert(&database, 2_000_000, "").await.unwrap();
    acknowledged.push(2_000_000);
    until(Duration::from_secs(3), "readiness", async || database.check().await.is_ok()).await;
    let rows = ids(&database).await;
    assert!(acknowledged.iter().all(|id| rows.contains(id)), "of {acknowledged:?} there are {rows:?}");
}

#[tokio::test]
async fn a_full_disk_under_postgresql_is_told_of_and_passes() {
    let Some(disk) = small_disk(24) else { return };
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    postgres.give(disk.path()).await;
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display());
    administer(&postgres.url, tablespace.leak()).await;
    administer(&postgres.url, "CREATE DATABASE small TABLESPACE small").await;
    let url = postgres.url.replace("/postgres", "/small");
    let database = migrated(&url, SCHEMA).await;
    let ballast = disk.path().join("ballast");
    let mut acknowledged = Vec::new();
    for id in 1..=20 {
        insert(&database, id, "").await.unwrap();
        acknowledged.push(id);
    }
    // The remaining space, byte for byte.
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    assert_eq!(fill(&database, 100, &mut acknowledged).await, Failure::Full);
    assert!(database.check().await.is_err(), "it is not ready while there is no room");

    drop(file);
    fs::remove_file(&ballast).unwrap();
    until(Duration::from_secs(5), "readiness", async || database.check().await.is_ok()).await;
    insert(&database, 1_000_000, "").await.unwrap();
    acknowledged.push(1_000_000);
    let rows = ids(&database).await;
    assert!(acknowledged.iter().all(|id| rows.contains(id)), "of {acknowledged:?} there are {rows:?}");
}
