use chrono::TimeDelta;
use serde_json::json;

use crate::Shop;

#[tokio::test]
async fn a_visitor_registers_and_is_logged_in() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/register?next=%2Fcart").await;
    let answer = browser
        .submit(
            "/register",
            &[("email", " User@Example.com "), ("password", "password123"), ("next", "/cart")],
        )
        .await;
    assert_eq!((answer.status, answer.location()), (303, "/cart"));
    assert_eq!(
        shop.upstreams.auth.last().body,
        json!({ "email": "user@example.com", "password": "password123" })
    );
    let page = browser.get("/").await;
    page.shows("Your account is ready");
    page.shows("Logged in as user@example.com");
    browser.get("/").await.hides("Your account is ready");
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_the_address_is_kept() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/register").await;
    let answer = browser.submit("/register", &[("email", "nobody"), ("password", "short")]).await;
    assert_eq!(answer.status, 422);
    answer.shows("id=\"email-error\"");
    answer.shows("id=\"password-error\"");
    answer.shows("value=\"nobody\"");
    answer.hides("short\"");
    assert!(shop.upstreams.auth.asked().is_empty());

    shop.upstreams.auth.refuses(409, "email-taken", &json!({}));
    let fields = [("email", "user@example.com"), ("password", "password123")];
    let answer = browser.submit("/register", &fields).await;
    assert_eq!(answer.status, 409);
    answer.shows("There is an account with this address");

    let more = json!({ "errors": [{ "pointer": "/password", "detail": "too common" }] });
    shop.upstreams.auth.refuses(422, "invalid-value", &more);
    let answer = browser.submit("/register", &fields).await;
    assert_eq!(answer.status, 422);
    answer.shows("This password cannot be used");
}

#[tokio::test]
async fn a_wrong_password_and_too_many_of_them_are_said() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/login").await;
    let fields = [("email", "user@example.com"), ("password", "wrong-password")];
    let answer = browser.submit("/login", &fields).await;
    assert_eq!(answer.status, 401);
    answer.shows("The e-mail address or the password is wrong");
    answer.hides("wrong-password");

    shop.upstreams.auth.answers(429, Some(("retry-after", "42")), b"{}");
    let answer = browser.submit("/login", &fields).await;
    assert_eq!(answer.status, 429);
    answer.shows("try again in 42 s");
}

#[tokio::test]
async fn a_login_makes_a_new_session_and_a_logout_another() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/login").await;
    let (before, planted) = (browser.csrf.clone(), browser.cookies["shop_session"].clone());
    browser.submit("/login", &[("email", "user@example.com"), ("password", "password123")]).await;
    let logged_in = browser.cookies["shop_session"].clone();
    assert_ne!(planted, logged_in);
    let stale = browser.submit("/cart/add", &[("product_id", "1")]).await;
    assert_eq!(stale.status, 403, "a form of the session before");

    browser.get("/").await;
    assert_ne!(browser.csrf, before);
    browser.submit("/cart/add", &[("product_id", "1")]).await;
    let answer = browser.submit("/logout", &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    assert!(!browser.cookies.contains_key("shop_cart"));
    browser.get("/").await.hides("user@example.com");

    // What somebody planted before the login has never become the login.
    browser.cookies.insert("shop_session".to_owned(), planted);
    assert_eq!(browser.get("/orders").await.location(), "/login?next=%2Forders");
}

#[tokio::test]
async fn the_way_onward_never_leaves_the_shop() {
    let shop = Shop::open().await;
    for next in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let mut browser = shop.browser();
        browser.get("/login").await;
        let fields = [("email", "user@example.com"), ("password", "password123"), ("next", next)];
        assert_eq!(browser.submit("/login", &fields).await.location(), "/", "{next}");
    }
}

#[tokio::test]
async fn an_expired_login_leads_to_the_login_and_back() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    assert_eq!(customer.get("/orders?cursor=c2").await.status, 200);
    shop.clock.advance(TimeDelta::minutes(60));
    let answer = customer.get("/orders?cursor=c2").await;
    assert_eq!((answer.status, answer.location()), (303, "/login?next=%2Forders%3Fcursor%3Dc2"));
    let page = customer.get(answer.location()).await;
    page.shows("Your login has expired");
    assert_eq!(page.hidden("next"), "/orders?cursor=c2");
}

#[tokio::test]
async fn a_token_that_is_refused_before_its_time_leads_to_the_login_too() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    shop.upstreams.order.refuses(401, "unauthorized", &json!({}));
    assert_eq!(customer.get("/orders").await.location(), "/login?next=%2Forders");
    customer.get("/").await.hides("user@example.com");
}

#[tokio::test]
async fn who_is_logged_in_needs_no_login_form() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    assert_eq!(customer.get("/login?next=%2Fcart").await.location(), "/cart");
}

#[tokio::test]
async fn the_form_stays_when_auth_is_away() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/login").await;
    shop.upstreams.auth.answers(503, None, b"");
    let answer =
        browser.submit("/login", &[("email", "user@example.com"), ("password", "password123")]).await;
    assert_eq!(answer.status, 503);
    answer.shows("Logging in is not possible right now");
    answer.shows("value=\"user@example.com\"");
}
