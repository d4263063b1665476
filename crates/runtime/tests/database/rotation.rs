//! A password that changes under load: the address is read again from its file, and requests continue.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::ConnectionTrait as _;
use shop_runtime::{Lifecycle, Scope, config::DatabaseUrl, database};
use shop_testing::servers::Durability;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

const SCHEMA: &str = "rotated";

async fn run(admin: &mut PgConnection, statement: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(statement.into())).execute(admin).await.unwrap();
}

/// Replaces the content of `file` by `url` atomically, as Kubernetes does.
fn put(file: &Path, url: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, format!("{url}\n")).unwrap();
    fs::rename(beside, file).unwrap();
}

#[derive(Default)]
struct Load {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Load {
    /// How many succeeded and failed since the last call.
    fn take(&self) -> (u64, u64) {
        (self.done.swap(0, Ordering::Relaxed), self.failed.swap(0, Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_rotated_under_load_stops_no_request() {
    let Some(server) = shop_testing::private_postgres(Durability::Fast).await else { return };
    shop_runtime::install_crypto();
    let mut admin = PgConnection::connect(&server.url).await.unwrap();
    let rules = "host all app all scram-sha-256\\nhost all all all trust\\n";
    run(&mut admin, "CREATE ROLE app LOGIN PASSWORD 'one'").await;
    run(&mut admin, "GRANT CREATE ON DATABASE postgres TO app").await;
    run(
        &mut admin,
        format!("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; printf \"{rules}\" > pg_hba.conf'"),
    )
    .await;
    run(&mut admin, "SELECT pg_reload_conf()").await;
    let place = server.url.split_once('@').unwrap().1;
    let address = |password: &str| format!("postgresql+asyncpg://app:{password}@{place}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("uri");
    put(&file, &address("one"));
    let url: DatabaseUrl = address("one").parse().unwrap();
    let url = url.from_file(file.clone().into());
    let database = database::connect(&url, SCHEMA).await.unwrap();
    let (lifecycle, load) = (Lifecycle::new(), Arc::new(Load::default()));
    database::follow(&database, &url, &Scope::new("test_service", &lifecycle));
    for _ in 0..4 {
        let (database, load, stopping) = (database.clone(), load.clone(), lifecycle.stopping());
        lifecycle.spawn("load", async move {
            while !stopping.is_cancelled() {
                let asked = database.execute_unprepared("SELECT 1").await;
                let counter = if asked.is_ok() { &load.done } else { &load.failed };
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        });
    }
    let for_a_while = || tokio::time::sleep(Duration::from_millis(1500));
    for_a_while().await;
    assert_eq!(load.take().1, 0, "before");

    // The file is invalid in between, as when somebody edits it.
    put(&file, "postgresql://app:t/wo@db");
    for_a_while().await;
    assert_eq!(load.take().1, 0, "with a broken file");
    // For a moment, the file has the old password, and new connections are refused: more than there are would be needed.
    run(&mut admin, "ALTER ROLE app PASSWORD 'two'").await;
    let crowd = (0..9).map(|_| database.execute_unprepared("SELECT pg_sleep(0.05)"));
    let outcomes = futures_util::future::join_all(crowd).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    put(&file, &address("two"));
    for_a_while().await;
    assert_eq!(load.take().1, 0, "with a new password");
    // From here on, connections with the old password are refused.
    run(&mut admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'").await;
    let terminated = Instant::now();
    loop {
        for_a_while().await;
        let (done, failed) = load.take();
        assert!(failed <= 20, "{failed} failed, and {done} did not");
        if done > 0 {
            break;
        }
        assert!(terminated.elapsed() < Duration::from_secs(20), "no request is answered any more");
    }
    for_a_while().await;
    let (done, failed) = load.take();
    assert!(done > 0 && failed == 0, "later, {failed} failed, and {done} did not");
    lifecycle.stop();
    lifecycle.run().await;
}
