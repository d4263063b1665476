//! Realistic databases: full, behind a pooler, too busy, and with clients that disconnect in the middle.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use http::Method;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use shop_runtime::database;
use shop_testing::{
    servers::{Durability, PoolMode},
    small_disk,
};
use tokio::time::{Instant, timeout};

use crate::harness::{Orders, Who, one_of, send};

/// The ids of all stored orders.
async fn stored(url: &str) -> Vec<String> {
    let database = database::attach(&url.parse().unwrap(), order::SCHEMA).await.unwrap();
    let backend = database.get_database_backend();
    let text = if backend == DbBackend::Postgres { "id::text" } else { "lower(hex(id))" };
    let all = Statement::from_string(backend, format!("SELECT {text} AS id FROM orders"));
    let rows = database.query_all_raw(all).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "id").unwrap().replace('-', "")).collect()
}

/// How many of the `acknowledged` orders are not stored.
async fn lost(url: &str, acknowledged: &[String]) -> usize {
    let stored = stored(url).await;
    acknowledged.iter().filter(|id| !stored.contains(&id.replace('-', ""))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_an_order_is_stored_or_refused_and_there_is_an_end_to_it() {
    let Some(disk) = small_disk(4) else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let url = format!("sqlite://{}", disk.path().join("orders.db").display());
    let orders = Orders::at(&url).await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    while refused < 300 {
        let answer = orders.post(Who::Guest, "/orders", &one_of(Who::Guest, 1)).await;
        if answer.status == 201 {
            acknowledged.push(answer.id());
            continue;
        }
        refused += 1;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        if refused == 1 {
            answer.expect(503, "storage-full");
            assert_eq!(send(orders.request(Method::GET, "/readyz")).await.status, 503);
        }
    }
    fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while send(orders.request(Method::GET, "/readyz")).await.status != 200 {
        assert!(Instant::now() < deadline, "it is ready again when there is room");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..20 {
        acknowledged
            .push(orders.post(Who::Guest, "/orders", &one_of(Who::Guest, 1)).await.expect(201, "").id());
    }
    assert!(acknowledged.len() > 40);
    assert_eq!(lost(&url, &acknowledged).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_in_the_middle_lose_nobody_s_order() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let orders = Orders::at(&postgres.url).await;
    let place = async |number: u64| {
        // Every third client disconnects, at varying moments of its order.
        let patience =
            if number.is_multiple_of(3) { Duration::from_micros(number * 97 % 9000) } else { Duration::MAX };
        let order = one_of(Who::Guest, 1);
        match timeout(patience, orders.post_with_key(Who::Guest, &number.to_string(), &order)).await {
            Ok(answer) if answer.status == 201 => Some(answer.id()),
            _ => None,
        }
    };
    let mut acknowledged = Vec::new();
    for round in 0..50 {
        let placed = join_all((0..8).map(|number| place(round * 8 + number))).await;
        acknowledged.extend(placed.into_iter().flatten());
    }
    assert!(acknowledged.len() > 250, "{}", acknowledged.len());
    assert_eq!(lost(&postgres.url, &acknowledged).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_orders_and_their_events_are_where_the_publisher_looks_for_them() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Session).await else {
        return;
    };
    let orders = Orders::at(&pooler.url).await;
    let id = orders.placed_by(Who::Anna).await;
    assert_eq!(lost(&postgres.url, &[id]).await, 0);
    let settings = database::Settings::from(order::SCHEMA).session(&shop_outbox::SESSION);
    let direct = database::attach(&postgres.url.parse().unwrap(), settings).await.unwrap();
    let outbox = shop_outbox::Store::new(direct.connection().clone(), "test");
    assert_eq!(outbox.stats().await.unwrap().pending, 1);
    let public = "SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'";
    let public = direct.query_one_raw(Statement::from_string(DbBackend::Postgres, public)).await.unwrap();
    assert_eq!(public.unwrap().try_get::<i64>("", "n").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_slow_requests_are_shed_while_the_service_stays_ready() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let orders = Orders::at(&postgres.url).await;
    orders.placed_by(Who::Guest).await;
    let blocker = database::attach(&postgres.url.parse().unwrap(), order::SCHEMA).await.unwrap();
    let blocking = database::begin(&blocker).await.unwrap();
    blocking.execute_unprepared("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let requests = join_all((0..40).map(|_| orders.get(Who::Guest, "/orders")));
    let probes = async {
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(send(orders.request(Method::GET, "/readyz")).await.status, 200);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let (answers, ()) = tokio::join!(requests, probes);
    for answer in &answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert!(answers.iter().any(|answer| answer.text.contains("/overloaded")), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.text.contains("/busy")), "a lock is waited for 5 seconds");
    blocking.rollback().await.unwrap();
    assert_eq!(orders.get(Who::Guest, "/orders").await.status, 200);
}
