//! The specification's examples, run as a person would.

use std::{fs, process::Stdio};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use tokio::process::Command;

use crate::support::{Real, Shop, Tap, outbox::until};

/// Runs `examples.sh` unchanged: curl's own configuration maps the usual ports to this shop's.
async fn run_examples(shop: &Shop) -> String {
    let leads = [("8001", &shop.auth), ("8002", &shop.catalog), ("8003", &shop.order)].map(|(port, url)| {
        format!("connect-to = \"localhost:{port}:{}\"\n", url.trim_start_matches("http://"))
    });
    fs::write(shop.path().join(".curlrc"), format!("silent\nshow-error\nmax-time = 20\n{}", leads.concat()))
        .unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples.sh");
    let output = Command::new("bash")
        .arg(script)
        .env("CURL_HOME", shop.path())
        .env("HOME", shop.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn assert_examples_work(said: &str) {
    let part = |title: &str| {
        let rest = said.split(title).nth(1).unwrap_or_else(|| panic!("no part {title:?}"));
        rest.split("\n\n### ").next().unwrap()
    };
    assert!(
        part("Register").contains(r#""access_token":"#)
            && part("Register").contains(r#""token_type":"bearer""#)
    );
    assert!(part("Log in").contains(r#""access_token":"#));
    assert_eq!(part("The products").matches(r#""id":1,"#).count(), 2);
    assert!(part("The products").contains(r#""price":500.00"#));
    assert!(part("Place an order").contains(r#""total_amount":2500.00"#), "{}", part("Place an order"));
    assert!(part("Place an order").contains(r#","order_token":""#), "{}", part("Place an order"));
    assert!(part("The orders").contains("b***@example.com"));
    for service in ["auth_service", "catalog_service", "order_service"] {
        assert!(part("Health").contains(&format!(r#"{{"status":"ok","service":"{service}"}}"#)));
    }
}

#[tokio::test]
async fn they_run_word_for_word_against_the_embedded_shop() {
    let shop = Shop::embedded(&[]).await;
    assert_examples_work(&run_examples(&shop).await);
}

#[tokio::test]
async fn they_run_word_for_word_against_the_services_on_real_backends() {
    let Some(real) = Real::take().await else { return };
    let tap = Tap::bind(&real.rabbitmq.url, "order.created").await;
    let shop = Shop::real(&real.backends(), &[]).await;
    let _publisher = shop.publisher().await;
    assert_examples_work(&run_examples(&shop).await);
    assert_eq!(tap.take(1).await.len(), 1);
}

#[tokio::test]
async fn what_the_embedded_shop_has_published_is_in_its_bus_after_kill_9() {
    let mut shop = Shop::embedded(&[]).await;
    let id = shop.place_order("buyer@example.com").await;
    let file = |name: &str| format!("sqlite://{}", shop.path().join(".shop").join(name).display());
    let orders = Database::connect(file("orders.db")).await.unwrap();
    until("the event is published", async || {
        let sent = "SELECT 1 FROM outbox_messages WHERE status = 'sent'";
        let sent = Statement::from_string(DbBackend::Sqlite, sent);
        orders.query_one_raw(sent).await.unwrap().is_some()
    })
    .await;
    let bus = file("bus.db");
    shop.processes[0].kill9();
    let bus = Database::connect(bus).await.unwrap();
    let events =
        "SELECT kind, CAST(payload AS text) AS payload FROM messages WHERE queue = 'shop_events.log'";
    let events = bus.query_all_raw(Statement::from_string(DbBackend::Sqlite, events)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].try_get::<String>("", "kind").unwrap(), "order_created");
    assert!(events[0].try_get::<String>("", "payload").unwrap().contains(&id));
}

#[tokio::test]
async fn the_embedded_shop_keeps_its_data_and_ends_in_order() {
    let mut shop = Shop::embedded(&[]).await;
    shop.place_order("buyer@example.com").await;
    let status = shop.processes[0].terminate().await;
    assert_eq!(status.code(), Some(0), "{}", shop.processes[0].log());
    assert!(shop.processes[0].log().contains("The shop is open"));
    assert!(shop.path().join(".shop/secrets.json").exists());
}
