use shop_testing::shop::{ADMIN_EMAIL, ADMIN_PASSWORD};

use super::Shop;

/// The access token of the administrator of a shop on real backends.
pub(crate) async fn admin_token(shop: &Shop) -> String {
    let body = serde_json::json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
    let answer = super::http().post(format!("{}/auth/token", shop.auth)).json(&body).send().await.unwrap();
    let token: serde_json::Value = answer.json().await.unwrap();
    token["access_token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
}
