//! Messages that cannot be handled: because nobody can read them, or because of a fault that somebody repairs later.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use shop_messaging::in_process::SqliteBroker;
use tokio::process::Command;

use crate::support::{
    Real, Shop, Tap, assert_books_agree,
    outbox::{until, until_within},
};

const POISON: &str = "0198f000-0000-7000-8000-00000000dead";
/// A product whose reservations fail, and one whose do not.
const BROKEN: u8 = 3;
const SOUND: u8 = 1;
/// Its place among the processes of a shop on real backends.
const CATALOG: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_set_aside_at_once_and_holds_up_nothing() {
    let Some(real) = Real::take().await else { return };
    let mut shop = Shop::whole(&real.backends(), &[]).await;
    shop.publish().await;
    Tap::connect(&real.rabbitmq.url).await.publish("order.created", "order_created", POISON, b"{").await;
    let order = buy(&shop, SOUND).await;
    until_confirmed(&shop, &order).await;
    for service in ["catalog", "notification"] {
        until("it is a dead letter", async || dead_letters(&shop, service).await.len() == 1).await;
        let letter = dead_letters(&shop, service).await.remove(0);
        assert_eq!(letter["message_id"], POISON, "{letter}");
        // It is as unreadable as before.
        tool(&shop, service, &["replay", POISON]).await;
        until("it is a dead letter again", async || dead_letters(&shop, service).await.len() == 1).await;
        tool(&shop, service, &["discard", POISON]).await;
        assert!(dead_letters(&shop, service).await.is_empty());
    }
    let verdict = assert_books_agree(&shop).await;
    assert_eq!(verdict.orders_that_are("confirmed"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_fault_has_set_aside_is_handled_when_it_is_replayed_after_the_repair() {
    let Some(real) = Real::take().await else { return };
    let mut shop = Shop::whole(&real.backends(), &[]).await;
    shop.publish().await;
    let database = Database::connect(&real.postgres.url).await.unwrap();
    let breaking = format!(
        "CREATE FUNCTION catalog.broken() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;
         CREATE TRIGGER broken BEFORE INSERT ON catalog.reservation_lines
             FOR EACH ROW WHEN (NEW.product_id = {BROKEN}) EXECUTE FUNCTION catalog.broken()"
    );
    database.execute_unprepared(&breaking).await.unwrap();
    let broken = buy(&shop, BROKEN).await;
    let sound = buy(&shop, SOUND).await;
    until_confirmed(&shop, &sound).await;
    until_given_up(&shop, CATALOG).await;
    until("it is a dead letter", async || dead_letters(&shop, "catalog").await.len() == 1).await;
    assert_eq!(status(&shop, &broken).await, "pending");
    database.execute_unprepared("DROP TRIGGER broken ON catalog.reservation_lines").await.unwrap();
    tool(&shop, "catalog", &["replay", "--all"]).await;
    until_confirmed(&shop, &broken).await;
    let verdict = assert_books_agree(&shop).await;
    assert_eq!(verdict.orders_that_are("confirmed"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_in_the_embedded_shop() {
    let mut shop = Shop::embedded(&[]).await;
    let data = shop.path().join(".shop");
    let database = format!("sqlite://{}", data.join("catalog.db").display());
    let database = Database::connect(database).await.unwrap();
    let breaking = format!(
        "CREATE TRIGGER broken BEFORE INSERT ON reservation_lines WHEN NEW.product_id = {BROKEN}
         BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"
    );
    database.execute_unprepared(&breaking).await.unwrap();
    let broken = buy(&shop, BROKEN).await;
    let sound = buy(&shop, SOUND).await;
    until_confirmed(&shop, &sound).await;
    until_given_up(&shop, 0).await;
    assert_eq!(status(&shop, &broken).await, "pending");
    database.execute_unprepared("DROP TRIGGER broken").await.unwrap();
    // One process at a time has the bus.
    shop.processes.pop().unwrap().terminate().await;
    let bus = SqliteBroker::open(&data.join("bus.db")).await.unwrap();
    assert_eq!(shop_messaging::Broker::from(bus).replay_dead_letters("catalog", 10).await.unwrap(), 1);
    shop.start("shop").await;
    until_confirmed(&shop, &broken).await;
    let verdict = assert_books_agree(&shop).await;
    assert_eq!(verdict.orders_that_are("confirmed"), 2);
}

async fn buy(shop: &Shop, product: u8) -> String {
    let items = json!([{ "product_id": product, "quantity": 1 }]);
    shop.place(&json!({ "customer_email": "buyer@example.com", "items": items })).await
}

async fn status(shop: &Shop, order: &str) -> String {
    let order = shop.order(order).await.unwrap_or_default();
    order["status"].as_str().unwrap_or_default().to_owned()
}

async fn until_confirmed(shop: &Shop, order: &str) {
    until("the order is confirmed", async || status(shop, order).await == "confirmed").await;
}

/// Waits until a consumer has made its last attempt: the pauses between them grow to a quarter of a minute.
async fn until_given_up(shop: &Shop, process: usize) {
    let given_up = async || shop.processes[process].log().contains("given up, to the dead letters");
    until_within(Duration::from_secs(100), "the message is a dead letter", given_up).await;
}

async fn dead_letters(shop: &Shop, service: &str) -> Vec<Value> {
    let listed = tool(shop, service, &["list", "--json"]).await;
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What an operator does with dead letters; returns the output.
async fn tool(shop: &Shop, service: &str, arguments: &[&str]) -> String {
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let mut command = Command::new(std::path::Path::new(&binaries).join(service));
    command.arg("dead-letters").args(arguments).env_clear();
    command.envs(shop.variables(service).iter().map(|(name, value)| (*name, value.as_str())));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
