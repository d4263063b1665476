//! Shoppers in a running shop, and an auditor who finds what does not agree: `shop-load`.

use std::process::Output;

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;
use tokio::process::Command;

use crate::support::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_leave_books_that_agree_and_whoever_changes_one_is_found() {
    let shop = Shop::embedded(&[]).await;
    let output = load(&shop, &["load", "--orders", "12", "--rate", "6", "--cancels", "0", "--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["placed"], &summary["confirmed"]), (&12.into(), &12.into()), "{summary}");

    let audit = ["check-books", "--settle", "30", "--json"];
    let output = load(&shop, &audit).await;
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &verdict["disagreements"]), (Some(0), &0.into()), "{verdict}");

    let payments = format!("sqlite://{}", shop.path().join(".shop/payments.db").display());
    let payments = Database::connect(payments).await.unwrap();
    let change = "UPDATE payments SET amount = amount + 1 WHERE id = (SELECT min(id) FROM payments)";
    payments.execute_unprepared(change).await.unwrap();
    let output = load(&shop, &["check-books", "--json"]).await;
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &verdict["disagreements"]), (Some(1), &1.into()), "{verdict}");
    let named = &verdict["named"][0];
    assert!(named["order"].is_string() && named["expected"].as_str().unwrap().starts_with("a payment of"));
}

/// Runs `shop-load` on `shop`.
async fn load(shop: &Shop, arguments: &[&str]) -> Output {
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let environment = [
        ("LOAD_AUTH_URL", shop.auth.as_str()),
        ("LOAD_CATALOG_URL", &shop.catalog),
        ("LOAD_ORDER_URL", &shop.order),
        ("LOAD_PAYMENT_URL", &shop.payment),
        ("LOAD_NOTIFICATION_URL", &shop.notification),
    ];
    let mut command = Command::new(std::path::Path::new(&binaries).join("shop-load"));
    // There it finds the administrator's password.
    command.args(arguments).env_clear().envs(environment).current_dir(shop.path());
    command.output().await.unwrap()
}
