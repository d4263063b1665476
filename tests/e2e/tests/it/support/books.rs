use shop_load::{
    Addresses, Admin,
    books::{self, Verdict},
};
use shop_testing::shop::{ADMIN_EMAIL, ADMIN_PASSWORD};

use super::Shop;

/// The administrator of `shop`.
fn admin(shop: &Shop) -> Admin {
    let secrets = shop.path().join(".shop/secrets.json");
    // The embedded shop makes a password of its own.
    let admin_password = (!secrets.exists()).then(|| ADMIN_PASSWORD.into());
    Admin { admin_email: ADMIN_EMAIL.parse().unwrap(), admin_password, secrets }
}

/// Waits until every order is settled and the books of `shop` agree, and fails if they do not.
pub(crate) async fn assert_books_agree(shop: &Shop) -> Verdict {
    let url = |text: &str| text.parse().unwrap();
    let verdict = books::check(&books::Arguments {
        pending_seconds: 0,
        settle_seconds: 60,
        most_orders: 1000,
        json: false,
        shop: Addresses {
            auth_url: url(&shop.auth),
            catalog_url: url(&shop.catalog),
            order_url: url(&shop.order),
            payment_url: url(&shop.payment),
            notification_url: url(&shop.notification),
        },
        admin: admin(shop),
    })
    .await
    .unwrap();
    assert!(verdict.agrees(), "{verdict}");
    verdict
}
