//! The private servers and their faults.

use std::time::{Duration, Instant};

use redis::AsyncCommands as _;
use shop_testing::servers::Durability;
use sqlx::{Connection as _, PgConnection};

#[tokio::test]
async fn a_killed_postgres_comes_back_on_its_port_with_what_was_committed() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Durable).await else { return };
    let mut client = PgConnection::connect(&postgres.url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE things (id int); INSERT INTO things VALUES (1)")
        .execute(&mut client)
        .await
        .unwrap();
    postgres.kill9().await;
    assert!(PgConnection::connect(&postgres.url).await.is_err());
    postgres.start().await;
    let mut client = PgConnection::connect(&postgres.url).await.unwrap();
    let things: i64 = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut client).await.unwrap();
    assert_eq!(things, 1);
}

#[tokio::test]
async fn a_frozen_postgres_answers_nobody_until_it_is_thawed() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let mut client = PgConnection::connect(&postgres.url).await.unwrap();
    postgres.freeze().await;
    // The backend of an open connection is frozen too, although it leads its own process group.
    let ping = sqlx::raw_sql("SELECT 1");
    let mut asking = std::pin::pin!(ping.execute(&mut client));
    assert!(tokio::time::timeout(Duration::from_millis(300), asking.as_mut()).await.is_err());
    postgres.thaw().await;
    asking.await.unwrap();
}

#[tokio::test]
async fn a_redis_restarts_on_its_port() {
    let Some(redis) = shop_testing::private_redis().await else { return };
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    redis.kill9().await;
    assert!(client.get_multiplexed_async_connection().await.is_err());
    redis.start().await;
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = connection.set("key", 1).await.unwrap();
}

#[tokio::test]
async fn a_rabbitmq_keeps_its_durable_queues_over_a_restart() {
    use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

    let Some(rabbitmq) = shop_testing::private_rabbitmq().await else { return };
    let connect = async || Connection::connect(&rabbitmq.url, ConnectionProperties::default()).await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let channel = connect().await.unwrap().create_channel().await.unwrap();
    channel.queue_declare("kept".into(), durable, FieldTable::default()).await.unwrap();
    let began = Instant::now();
    rabbitmq.shut_down().await;
    assert!(began.elapsed() < Duration::from_secs(25), "it ends in order");
    assert!(connect().await.is_err());
    rabbitmq.start().await;
    let channel = connect().await.unwrap().create_channel().await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..durable };
    channel.queue_declare("kept".into(), passive, FieldTable::default()).await.unwrap();
}

#[tokio::test]
async fn a_frozen_kubernetes_api_answers_nobody_until_it_is_thawed() {
    let Some((server, cluster)) = shop_testing::private_kubernetes().await else { return };
    let ask = ["--request-timeout=1s", "get", "configmaps", "--output=name"];
    cluster.kubectl(&["create", "configmap", "thing"]).await;
    server.freeze().await;
    assert!(cluster.try_kubectl(&ask).await.is_err());
    server.thaw().await;
    assert!(cluster.kubectl(&ask[1..]).await.contains("configmap/thing"));
}

#[tokio::test]
async fn a_killed_kubernetes_api_comes_back_on_its_port_with_what_was_written() {
    let Some((server, cluster)) = shop_testing::private_kubernetes().await else { return };
    let ask = ["get", "configmaps", "--output=name"];
    cluster.kubectl(&["create", "configmap", "thing"]).await;
    server.kill9().await;
    assert!(cluster.try_kubectl(&ask).await.is_err());
    server.start().await;
    assert!(cluster.kubectl(&ask).await.contains("configmap/thing"));
}
