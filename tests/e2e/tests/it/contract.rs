//! Each API is checked against its own description: schemathesis sends requests that the OpenAPI document allows and forbids,
//! and checks that the responses are the documented ones. `schemathesis.toml` says what it must not expect, and why.

use std::{fs, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Real, Shop};

const ADMIN: (&str, &str) = ("admin@example.com", "a password of the tests");

/// The tests must end, and find the same problems every time.
const BOUNDS: [&str; 6] = ["--seed", "1", "--max-examples", "20", "--max-time", "12"];

macro_rules! on_embedded_and_real_backends {
    ($($service:ident),*) => {
        mod embedded {
            $(#[tokio::test] async fn $service() { super::embedded(stringify!($service)).await; })*
        }
        mod real {
            $(#[tokio::test] async fn $service() { super::real(stringify!($service)).await; })*
        }
    };
}

on_embedded_and_real_backends!(auth, catalog, order, payment, notification);

async fn embedded(service: &str) {
    let Some(schemathesis) = shop_testing::schemathesis() else { return };
    let shop = Shop::embedded(&[("ORDER_GUEST_ORDERS_PER_MINUTE", "0")]).await;
    let secrets = fs::read(shop.path().join(".shop/secrets.json")).unwrap();
    let secrets: Value = serde_json::from_slice(&secrets).unwrap();
    let password = secrets["admin_password"].as_str().unwrap();
    hold(&schemathesis, &shop, service, password).await;
}

async fn real(service: &str) {
    let Some(schemathesis) = shop_testing::schemathesis() else { return };
    let Some(real) = Real::take().await else { return };
    let (email, password) = ADMIN;
    let environment = [
        ("AUTH_ADMIN_EMAIL", email),
        ("AUTH_ADMIN_PASSWORD", password),
        ("ORDER_GUEST_ORDERS_PER_MINUTE", "0"),
    ];
    let shop = match service {
        "payment" | "notification" => Shop::whole(&real.backends(), &environment).await,
        _ => Shop::real(&real.backends(), &environment).await,
    };
    hold(&schemathesis, &shop, service, password).await;
}

/// Runs once as a stranger, and once as the shop's admin.
async fn hold(schemathesis: &PathBuf, shop: &Shop, service: &str, password: &str) {
    let credentials = json!({ "email": ADMIN.0, "password": password });
    let answer = crate::support::http().post(format!("{}/auth/token", shop.auth)).json(&credentials);
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let url = match service {
        "auth" => &shop.auth,
        "catalog" => &shop.catalog,
        "payment" => &shop.payment,
        "notification" => &shop.notification,
        _ => &shop.order,
    };
    let authorization = format!("Authorization: Bearer {token}");
    for header in [&[][..], &["--header", authorization.as_str()]] {
        let output = Command::new(schemathesis)
            .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml"), "run"])
            .args(["--checks", "all", "--no-color", "--suppress-health-check", "all"])
            .args(BOUNDS)
            .args(header)
            .arg(format!("{url}/openapi.json"))
            .current_dir(shop.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("generated, "), "{said}");
    }
}
