//! Two tabs of one browser: somebody logs in or out in one, and goes on in the other, whose forms are of the session before.

use crate::{Shop, browser::Browser, upstream::ORDER_ID};

const LOGIN: [(&str, &str); 2] = [("email", "user@example.com"), ("password", "password123")];

/// A browser with a page open in each of two tabs, which logs in in the first one. Its next form is the second tab's.
async fn logged_in_elsewhere(shop: &Shop, proof: (&'static str, &str)) -> Browser {
    let mut browser = shop.browser();
    browser.headers.insert(proof.0, proof.1.to_owned());
    browser.get("/login").await;
    let second_tab = browser.csrf.clone();
    assert_eq!(browser.submit("/login", &LOGIN).await.status, 303);
    browser.csrf = second_tab;
    browser
}

/// What browsers say of a form of the same origin: over TLS and on localhost, and elsewhere.
fn proofs(shop: &Shop) -> [(&'static str, String); 2] {
    [("sec-fetch-site", "same-origin".to_owned()), ("origin", shop.address.clone())]
}

#[tokio::test]
async fn what_harms_nobody_is_done_from_a_tab_of_the_session_before() {
    let shop = Shop::open().await;
    for (name, value) in proofs(&shop) {
        let mut browser = logged_in_elsewhere(&shop, (name, &value)).await;
        let second_tab = browser.csrf.clone();
        for (path, fields) in [
            ("/cart/add", &[("product_id", "1"), ("quantity", "2")][..]),
            ("/cart/update", &[("product_id", "1"), ("quantity", "3")]),
            ("/language", &[("lang", "en")]),
        ] {
            browser.csrf.clone_from(&second_tab);
            assert_eq!(browser.submit(path, fields).await.status, 303, "{path} with {name}");
        }
        let cart = browser.get("/cart").await;
        cart.shows("Morning Mug");
        cart.shows("value=\"3\"");
        cart.shows("Logged in as user@example.com");
        browser.csrf.clone_from(&second_tab);
        assert_eq!(browser.submit("/cart/remove", &[("product_id", "1")]).await.status, 303);
        browser.get("/cart").await.hides("Morning Mug");
    }
}

#[tokio::test]
async fn a_second_login_goes_on_to_where_it_was_going() {
    let shop = Shop::open().await;
    let mut browser = logged_in_elsewhere(&shop, ("sec-fetch-site", "same-origin")).await;
    let second_tab = browser.csrf.clone();
    for path in ["/login", "/register"] {
        let (asked, session) = (shop.upstreams.auth.asked().len(), browser.cookies["shop_session"].clone());
        browser.csrf.clone_from(&second_tab);
        let answer = browser.submit(path, &[&LOGIN[..], &[("next", "/cart")]].concat()).await;
        assert_eq!((answer.status, answer.location()), (303, "/cart"), "{path}");
        assert_eq!(shop.upstreams.auth.asked().len(), asked, "the login that there is does");
        assert_eq!(browser.cookies["shop_session"], session);
    }
    // Somebody else at the same browser.
    browser.csrf = second_tab;
    let other = [("email", "other@example.com"), ("password", "password123"), ("next", "/cart")];
    assert_eq!(browser.submit("/login", &other).await.location(), "/cart");
    browser.get("/").await.shows("Logged in as other@example.com");
}

#[tokio::test]
async fn a_second_logout_leads_to_the_front_page() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    customer.get("/").await;
    let second_tab = customer.csrf.clone();
    assert_eq!(customer.submit("/logout", &[]).await.location(), "/");
    customer.get("/").await;
    for proof in [None, Some("same-origin"), Some("cross-site")] {
        customer.csrf.clone_from(&second_tab);
        customer.headers.extend(proof.map(|site| ("sec-fetch-site", site.to_owned())));
        let answer = customer.submit("/logout", &[]).await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{proof:?}");
    }
    // And one that is of a login before this one ends it, since the visitor's own page asks for that.
    let mut customer = shop.customer().await;
    customer.headers.insert("sec-fetch-site", "same-origin".to_owned());
    customer.csrf = second_tab;
    assert_eq!(customer.submit("/logout", &[]).await.status, 303);
    customer.get("/").await.hides("user@example.com");
}

#[tokio::test]
async fn an_order_from_a_tab_of_the_session_before_is_shown_again_first() {
    let shop = Shop::open().await;
    for fields in [
        &[("product_id", "1"), ("quantity", "2")][..],
        &[("lines", "1:2:500.00"), ("key", "0190a000-0000-7000-8000-000000000000")],
    ] {
        let asked = shop.upstreams.order.asked().len();
        let mut browser = logged_in_elsewhere(&shop, ("sec-fetch-site", "same-origin")).await;
        let again = browser.submit("/order", fields).await;
        assert_eq!(again.status, 409);
        again.shows("in another tab");
        again.shows("Morning Mug");
        assert_eq!(shop.upstreams.order.asked().len(), asked, "nothing is ordered unseen");
        let (lines, key) = (again.hidden("lines").to_owned(), again.hidden("key").to_owned());
        assert!(lines.starts_with("1:2:"), "{lines}");
        // The page has a fresh token.
        let placed = browser.submit("/order", &[("lines", &lines), ("key", &key)]).await;
        assert_eq!((placed.status, placed.location()), (303, &*format!("/orders/{ORDER_ID}")));
        assert_eq!(shop.upstreams.order.asked().len(), asked + 1);
    }
}

#[tokio::test]
async fn a_cancellation_from_a_tab_of_the_session_before_asks_to_look_again() {
    let shop = Shop::open().await;
    let mut browser = logged_in_elsewhere(&shop, ("sec-fetch-site", "same-origin")).await;
    let answer = browser.submit(&format!("/orders/{ORDER_ID}/cancel"), &[]).await;
    assert_eq!((answer.status, answer.location()), (303, &*format!("/orders/{ORDER_ID}")));
    assert!(shop.upstreams.order.asked().is_empty());
    browser.get(answer.location()).await.shows("Nothing was changed");
    assert_eq!(browser.submit(&format!("/orders/{ORDER_ID}/cancel"), &[]).await.status, 303);
    assert!(shop.upstreams.order.last().uri.path().ends_with("/cancel"));
}

#[tokio::test]
async fn behind_a_proxy_forms_are_taken_from_its_host_and_from_no_other() {
    let shop = Shop::open_with(|config| config.trust_proxy = true).await;
    for (forwarded, port, origin, status) in [
        ("Shop.Example, web:8000", "443, 80", "https://shop.example", 303),
        ("shop.example", "8443", "https://shop.example:8443", 303),
        ("shop.example:8443", "80", "https://shop.example:8443", 303),
        ("shop.example", "443", "https://evil.example", 403),
        ("shop.example", "443", "https://shop.example:444", 403),
        ("shop.example", "443", "http://shop.example", 403),
        ("shop.example, evil.example", "443", "https://evil.example", 403),
    ] {
        let mut browser = shop.browser();
        browser.headers.insert("x-forwarded-proto", "https,http".to_owned());
        browser.headers.insert("x-forwarded-host", forwarded.to_owned());
        browser.headers.insert("x-forwarded-port", port.to_owned());
        browser.get("/").await;
        browser.headers.insert("origin", origin.to_owned());
        let answer = browser.submit("/cart/add", &[("product_id", "1")]).await;
        assert_eq!(answer.status, status, "{origin} at {forwarded}");
    }
}
