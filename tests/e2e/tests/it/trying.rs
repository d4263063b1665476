//! `order try`, which `helm test` runs.

use std::{path::Path, process::Output};

use tokio::process::Command;

use crate::support::{Real, Shop};

async fn order_try(shop: &Shop, database: &str, patience: &str) -> Output {
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let environment = [
        ("TRY_WEB_URL", shop.web.as_str()),
        ("TRY_AUTH_URL", &shop.auth),
        ("TRY_CATALOG_URL", &shop.catalog),
        ("TRY_ORDER_URL", &shop.order),
        ("TRY_PATIENCE_SECONDS", patience),
        ("ORDER_DATABASE_URL", database),
    ];
    Command::new(Path::new(&binaries).join("order"))
        .arg("try")
        .env_clear()
        .envs(environment)
        .output()
        .await
        .unwrap()
}

/// Its output lines, without the parts that differ every time.
fn lines(output: &Output) -> Vec<String> {
    let masked = |word| match word {
        _ if str::starts_with(word, "try-") => "<email>",
        _ if str::len(word) == 36 => "<id>",
        word => word,
    };
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| line.split(' ').map(masked).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn a_tried_shop_has_published_the_orders_event() {
    let shop = Shop::embedded(&[]).await;
    let database = format!("sqlite:{}", shop.path().join(".shop/orders.db").display());
    let output = order_try(&shop, &database, "30").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        lines(&output),
        [
            "the storefront answers",
            "registered <email>",
            "ordered product 1: order <id>",
            "its event is published",
            "and the order cancelled"
        ]
    );
}

#[tokio::test]
async fn an_event_that_nobody_publishes_fails_the_trial() {
    let Some(backends) = Real::take().await else { return };
    let shop = Shop::real(&backends.backends(), &[]).await;
    let output = order_try(&shop, backends.backends().postgres, "3").await;
    assert!(!output.status.success());
    assert_eq!(
        lines(&output),
        ["the storefront answers", "registered <email>", "ordered product 1: order <id>"]
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "order_service: not done within 3s; the last line says what is\n"
    );
}
