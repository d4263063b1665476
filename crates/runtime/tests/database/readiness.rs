//! Whether a service could do its work, and what happens if it could not.

use std::{process::ExitCode, time::Duration};

use shop_runtime::{
    Lifecycle, Scope,
    database::{self, Failure},
};
use shop_testing::servers::Durability;
use tokio::time::{Instant, timeout};

use crate::support::{Migrator, SCHEMA, administer, ids, insert, migrated, number, text, until};

#[tokio::test]
async fn a_service_whose_pool_is_taken_is_ready_and_says_that_it_has_too_much_to_do() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let database = migrated(&postgres.url, SCHEMA).await;
    let taken = (0..database::MAX_CONNECTIONS).map(|_| database::begin(&database));
    let taken = futures_util::future::try_join_all(taken).await.unwrap();
    for _ in 0..3 {
        let asked = Instant::now();
        database.check().await.unwrap();
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    }
    let asked = Instant::now();
    let refused = insert(&database, 1, "").await.unwrap_err();
    assert_eq!(Failure::of(&refused), Failure::Overloaded, "{refused}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop(taken);
    insert(&database, 1, "").await.unwrap();
}

#[tokio::test]
async fn a_busy_service_holds_no_more_connections_than_are_written_down() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let url = postgres.url.parse().unwrap();
    let lifecycle = Lifecycle::new();
    let scope = Scope::new("test_service", &lifecycle);
    let database = database::open::<Migrator>(&url, SCHEMA, &scope).await.unwrap();
    let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'things'";
    let busy = (0..40).map(|_| text(&database, "SELECT pg_sleep(0.3)::text"));
    let looking = async {
        let mut most = 0;
        for _ in 0..15 {
            database.check().await.unwrap();
            most = most.max(number(&postgres.url, held).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let (_, most) = tokio::join!(futures_util::future::join_all(busy), looking);
    assert_eq!(most, i64::from(database::SERVICE_CONNECTIONS));
    lifecycle.stop();
}

#[tokio::test]
async fn a_service_ends_when_its_schema_has_gone_and_its_next_start_makes_it_anew() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let url = postgres.url.parse().unwrap();
    let lifecycle = Lifecycle::new();
    let scope = Scope::new("test_service", &lifecycle);
    let database = database::open::<Migrator>(&url, SCHEMA, &scope).await.unwrap();
    insert(&database, 1, "").await.unwrap();
    database.check().await.unwrap();
    administer(&postgres.url, "DROP SCHEMA things CASCADE").await;
    for _ in 0..3 {
        let missing = insert(&database, 2, "").await.unwrap_err();
        assert!(matches!(Failure::of(&missing), Failure::Vanished | Failure::Away), "{missing}");
    }
    let missing = database.check().await.unwrap_err();
    assert!(missing.to_string().contains("there is no schema"), "{missing}");
    let end = timeout(Duration::from_secs(20), lifecycle.run()).await.unwrap();
    assert_eq!(format!("{end:?}"), format!("{:?}", ExitCode::FAILURE));

    let lifecycle = Lifecycle::new();
    let scope = Scope::new("test_service", &lifecycle);
    let database = database::open::<Migrator>(&url, SCHEMA, &scope).await.unwrap();
    insert(&database, 2, "").await.unwrap();
    database.check().await.unwrap();
}

#[tokio::test]
async fn a_schema_without_its_tables_is_missed_too_and_one_that_is_further_is_not() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let database = migrated(&postgres.url, SCHEMA).await;
    let further = "INSERT INTO things.seaql_migrations (version, applied_at) VALUES ('things_0002_later', 0)";
    administer(&postgres.url, further).await;
    database.check().await.unwrap();
    drop(migrated(&postgres.url, SCHEMA).await);
    administer(&postgres.url, "DELETE FROM things.seaql_migrations WHERE version = 'things_0001_create'")
        .await;
    let lacking =
        async || database.check().await.is_err_and(|error| error.to_string().contains("things_0001_create"));
    until(Duration::from_secs(3), "a look", lacking).await;
}

#[tokio::test]
async fn another_schema_is_refused() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let url = postgres.url.parse().unwrap();
    let missing = database::attach(&url, SCHEMA).await.unwrap_err();
    assert!(format!("{missing:#}").contains("there is no schema \"things\""), "{missing:#}");
    let lazy = database::lazily(&url, SCHEMA).unwrap();
    assert!(lazy.check().await.is_err());
    assert!(lazy.has_vanished(), "{:?}", lazy.trouble());
}

#[tokio::test]
async fn a_file_that_is_deleted_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("things.db");
    let database = migrated(&format!("sqlite://{}", file.display()), SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    database.check().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let refused = insert(&database, 2, "").await.unwrap_err();
    assert_eq!(Failure::of(&refused), Failure::Away, "{refused}");
    assert!(!file.exists(), "an empty database in its place would hide the loss");
    // Readiness reuses its result for a second.
    until(Duration::from_secs(5), "not ready", async || database.check().await.is_err()).await;
}

#[tokio::test]
async fn a_database_in_memory_lasts() {
    let database = migrated("sqlite::memory:", SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    database.check().await.unwrap();
    assert_eq!(ids(&database).await, [1]);
}
