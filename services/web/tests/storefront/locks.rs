//! What keeps strangers out: tokens in forms, headers on pages, bounds on bodies, cookies.

use reqwest::Method;

use crate::{Shop, upstream::ORDER_ID};

const FORM: &str = "application/x-www-form-urlencoded";

fn forms() -> Vec<String> {
    let fixed = [
        "/register",
        "/login",
        "/logout",
        "/cart/add",
        "/cart/update",
        "/cart/remove",
        "/order",
        "/language",
    ];
    fixed.iter().map(ToString::to_string).chain([format!("/orders/{ORDER_ID}/cancel")]).collect()
}

#[tokio::test]
async fn no_form_is_taken_without_the_sessions_token() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let asked = shop.upstreams.auth.asked().len();
    let mut stranger = shop.browser();
    stranger.get("/").await;
    let fields = "product_id=1&lang=ru&email=user@example.com&password=password123";
    for path in forms() {
        let tokens = ["", "csrf=&", "csrf=x&", &format!("csrf={}&", stranger.csrf)].map(str::to_owned);
        for token in tokens {
            let body = format!("{token}{fields}");
            let request = customer.request(Method::POST, &path).header("content-type", FORM).body(body);
            let answer = customer.send(request).await;
            assert_eq!(answer.status, 403, "{path} with {token}");
            answer.shows("This page was out of date");
        }
    }
    assert_eq!(shop.upstreams.auth.asked().len(), asked);
    assert!(shop.upstreams.order.asked().is_empty() && !customer.cookies.contains_key("shop_cart"));
}

#[tokio::test]
async fn no_form_is_taken_from_another_site_even_with_the_token() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    customer.get("/").await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        customer.headers.insert(name, value.to_owned());
        for path in forms() {
            assert_eq!(
                customer.submit(&path, &[("product_id", "1")]).await.status,
                403,
                "{path} from {value}"
            );
        }
        customer.headers.remove(name);
    }
}

#[tokio::test]
async fn malformed_forms_are_a_friendly_4xx() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/").await;
    let csrf = browser.csrf.clone();
    let huge = format!("csrf={csrf}&email={}", "x".repeat(100_000));
    for (content_type, body, status) in [
        (FORM, format!("csrf={csrf}&product_id=%00"), 400),
        (FORM, format!("csrf={csrf}&product_id=1&quantity=%00"), 400),
        (FORM, format!("csrf={csrf}&product_id=1&product_id=2"), 400),
        (FORM, format!("csrf={csrf}"), 400),
        (FORM, format!("csrf={csrf}&product_id=1.5"), 400),
        (FORM, format!("csrf={csrf}&product_id=99999999999999999999"), 400),
        (FORM, "%ff%fe&&&===".to_owned(), 403),
        (FORM, huge, 413),
        ("application/json", "{}".to_owned(), 415),
        ("multipart/form-data; boundary=x", "--x--".to_owned(), 415),
    ] {
        let request = browser.request(Method::POST, "/cart/add").header("content-type", content_type);
        let answer = browser.send(request.body(body)).await;
        assert_eq!(answer.status, status, "{content_type}: {}", answer.body);
        answer.shows("Home page");
    }
    for (path, status) in [("/catalog?q=%00", 400), ("/catalog?q=%ff", 200), ("/catalog?q=a&q=b", 400)] {
        assert_eq!(browser.get(path).await.status, status, "{path}");
    }
    let wrong = browser.request(Method::DELETE, "/cart");
    assert_eq!(browser.send(wrong).await.status, 405);
    assert_eq!(browser.get("/order").await.status, 405);
}

#[tokio::test]
async fn rubbish_in_cookies_is_a_new_visitor() {
    let shop = Shop::open().await;
    for value in ["x", "AAAA", "%00", "\"", "🦀"] {
        let mut browser = shop.browser();
        for name in ["shop_session", "shop_cart", "shop_lang", "shop_flash"] {
            browser.cookies.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(browser.get("/cart").await.status, 200, "{value}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_it() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    for path in ["/", "/login", "/nowhere", "/cart"] {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(directive), "{directive} at {path}: {policy}");
        }
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("cache-control"), "no-store");
        // The policy would block them.
        page.hides(" style=\"");
        page.hides("<style");
        page.hides(" onclick");
    }
}

#[tokio::test]
async fn assets_are_named_by_content_and_kept_for_good() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.get("/").await;
    for (before, content_type) in [
        ("rel=\"stylesheet\" href=\"", "text/css; charset=utf-8"),
        ("script defer src=\"", "text/javascript; charset=utf-8"),
    ] {
        let path = page.body.split_once(before).unwrap().1.split('"').next().unwrap();
        let asset = browser.get(path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, content_type));
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(asset.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn an_answer_is_encoded_as_it_says() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.get("/").await;
    let style =
        page.body.split_once("rel=\"stylesheet\" href=\"").unwrap().1.split('"').next().unwrap().to_owned();
    for accept in ["text/html", "application/json", "*/*"] {
        browser.headers.insert("accept", accept.to_owned());
        browser.headers.insert("accept-encoding", "gzip".to_owned());
        for (method, path, status, encoding) in [
            (Method::GET, &*style, 200, "gzip"),
            (Method::GET, "/static/nothing.css", 404, ""),
            (Method::HEAD, "/static/nothing.css", 404, ""),
            (Method::POST, &style, 405, ""),
            (Method::GET, "/robots.txt", 200, "gzip"),
            (Method::POST, "/robots.txt", 405, ""),
            (Method::GET, "/catalog", 200, ""),
            (Method::GET, "/nothing", 404, ""),
            (Method::GET, "/pictures/nothing.svg", 404, ""),
        ] {
            let request = browser.request(method.clone(), path);
            let answer = browser.send(request).await;
            let got = (answer.status, answer.header("content-encoding"));
            assert_eq!(got, (status, encoding), "{method} {path}, {accept}");
            if status >= 400 && method != Method::HEAD {
                let begins = if accept == "application/json" { "{" } else { "<!doctype html>" };
                assert!(answer.body.to_lowercase().starts_with(begins), "{method} {path}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_tls_cookies_are_secure() {
    let shop = Shop::open_with(|config| config.trust_proxy = true).await;
    let mut browser = shop.browser();
    browser.headers.insert("x-forwarded-proto", "https".to_owned());
    let page = browser.get("/").await;
    assert!(page.header("set-cookie").starts_with("__Host-shop_session="));
    assert!(page.header("set-cookie").contains("Secure"));
    assert_eq!(page.header("strict-transport-security"), "", "an address cannot be pinned");
    browser.headers.insert("x-forwarded-host", "shop.example".to_owned());
    let page = browser.get("/").await;
    assert!(page.header("strict-transport-security").contains("max-age="));
    browser.headers.remove("x-forwarded-host");
    browser.submit("/cart/add", &[("product_id", "1")]).await;
    assert!(browser.cookies.contains_key("__Host-shop_cart"));
    browser.get("/cart").await.shows("Morning Mug");
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_says_that_it_is_tls() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.headers.insert("x-forwarded-proto", "https".to_owned());
    let page = browser.get("/").await;
    assert!(page.header("set-cookie").starts_with("shop_session="));
    assert_eq!(page.header("strict-transport-security"), "");
}

#[tokio::test]
async fn health_names_what_is_away_and_the_storefront_stays_ready() {
    let shop = Shop::open_with(|config| config.order_url = "http://127.0.0.1:9".parse().unwrap()).await;
    let mut browser = shop.browser();
    browser.get("/health").await.shows("\"service\":\"web_app\"");
    let ready = browser.get("/readyz").await;
    assert_eq!(ready.status, 200);
    ready.shows("\"order_service\":\"unavailable\"");
    ready.shows("degraded");
}
