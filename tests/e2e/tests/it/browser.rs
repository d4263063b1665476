//! The storefront in a real browser.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use shop_testing::TestBrowser;

use crate::support::Shop;

async fn open(browser: &TestBrowser, language: &str, size: (u32, u32)) -> Client {
    ClientBuilder::new(HttpConnector::new())
        .capabilities(browser.capabilities(language, size))
        .connect(&browser.webdriver_url)
        .await
        .unwrap()
}

/// Clicks, and waits for the page that follows: the one that contains `next`. A click returns before the browser has
/// left the page, so text that is on both pages proves nothing.
async fn click(client: &Client, css: &str, next: &str) {
    let element = client.wait().for_element(Locator::Css(css)).await.unwrap();
    element.click().await.unwrap();
    let deadline = Duration::from_secs(30);
    if client.wait().at_most(deadline).for_element(Locator::Css(next)).await.is_err() {
        panic!("no {next} after {css}, but:\n{}", client.source().await.unwrap());
    }
}

async fn fill(client: &Client, css: &str, text: &str) {
    let element = client.wait().for_element(Locator::Css(css)).await.unwrap();
    element.clear().await.unwrap();
    element.send_keys(text).await.unwrap();
}

/// Saves a screenshot for people, beside the other build output.
async fn picture(client: &Client, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), client.screenshot().await.unwrap()).unwrap();
}

async fn text(client: &Client, css: &str) -> String {
    let read = "const found = document.querySelector(arguments[0]); return found && found.innerText.trim()";
    loop {
        client.wait().for_element(Locator::Css(css)).await.unwrap();
        // Found and read in one step, because a live page may replace the element in between.
        if let Some(text) = client.execute(read, vec![css.into()]).await.unwrap().as_str() {
            return text.to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_registers_logs_in_fills_a_cart_orders_and_sees_the_order() {
    let Some(browser) = shop_testing::browser().await else { return };
    let shop = Shop::embedded(&[]).await;
    let client = open(&browser, "en-US", (1280, 900)).await;
    let at = |path: &str| format!("{}{path}", shop.web);

    client.goto(&at("/")).await.unwrap();
    picture(&client, "home").await;
    client.goto(&at("/register")).await.unwrap();
    fill(&client, "#email", "browser@example.com").await;
    fill(&client, "#password", "password123").await;
    click(&client, "form[action='/register'] button[type=submit]", "form[action='/logout']").await;
    click(&client, "form[action='/logout'] button", "nav.menu a[href='/login']").await;

    client.goto(&at("/catalog")).await.unwrap();
    picture(&client, "catalog").await;
    client.goto(&at("/products/1")).await.unwrap();
    click(&client, "form[action='/cart/add'] button[type=submit]", ".toast a[href='/cart']").await;
    client.goto(&at("/cart")).await.unwrap();
    picture(&client, "cart").await;
    // Ordering needs an account: go to the login, and back with the same cart.
    let (order, log_in) = ("form[action='/order'] button[type=submit]", "form[action='/login']");
    click(&client, order, log_in).await;
    fill(&client, "#email", "browser@example.com").await;
    fill(&client, "#password", "password123").await;
    click(&client, &format!("{log_in} button[type=submit]"), order).await;
    click(&client, order, "form[action$='/cancel']").await;
    let url = client.current_url().await.unwrap();
    assert!(url.path().starts_with("/orders/"), "{url}");
    assert!(text(&client, "main").await.contains("Morning Mug"));
    picture(&client, "order").await;
    let order = url.path().trim_start_matches("/orders/").to_owned();
    client.goto(&at("/orders")).await.unwrap();
    assert!(client.source().await.unwrap().contains(&order), "the list shows the order");
    picture(&client, "orders").await;
    client.close().await.unwrap();
}

/// Opens an account, and stays logged in.
async fn register(client: &Client, web: &str, email: &str) {
    client.goto(&format!("{web}/register")).await.unwrap();
    fill(client, "#email", email).await;
    fill(client, "#password", "password123").await;
    click(client, "form[action='/register'] button[type=submit]", "form[action='/logout']").await;
}

/// Waits until the element says `expected`, without loading the page.
async fn until_it_says(client: &Client, css: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let said = text(client, css).await;
        if said.contains(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{css} says {said:?}, and not {expected:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Marks the page that is open, so that [`is_marked`] tells whether another was loaded since.
async fn mark(client: &Client) {
    client.execute("window.marked = true", vec![]).await.unwrap();
}

async fn is_marked(client: &Client) -> bool {
    client.execute("return window.marked === true", vec![]).await.unwrap() == true
}

async fn is_wider_than_the_screen(client: &Client) -> bool {
    client.execute("return document.documentElement.scrollWidth > window.innerWidth", vec![]).await.unwrap()
        == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_and_refunded_before_the_visitors_eyes() {
    let Some(browser) = shop_testing::browser().await else { return };
    // Long enough for a page to be seen before its order is paid.
    let shop = Shop::embedded(&[("PAYMENT_SIMULATED_DELAY_MS", "4000")]).await;
    for (language, size, name, words) in [
        ("ru-RU", (390, 844), "phone", ["Обрабатывается", "Подтверждён", "Отменён", "Деньги возвращены"]),
        ("en-US", (1280, 900), "desk", ["Being processed", "Confirmed", "Cancelled", "Money returned"]),
    ] {
        let client = open(&browser, language, size).await;
        register(&client, &shop.web, &format!("{name}@example.com")).await;
        client.goto(&format!("{}/products/1", shop.web)).await.unwrap();
        click(&client, "form.buy button[formaction='/order']", "article.order").await;
        mark(&client).await;
        let [pending, confirmed, cancelled, refunded] = words;
        assert_eq!(text(&client, ".badge").await, pending);
        picture(&client, &format!("order-pending-{name}")).await;
        let sure = client.find(Locator::Css("details.cancel summary")).await.unwrap();
        sure.click().await.unwrap();
        until_it_says(&client, ".badge", confirmed).await;
        assert!(is_marked(&client).await, "nothing was loaded");
        assert!(!is_wider_than_the_screen(&client).await);
        picture(&client, &format!("order-confirmed-{name}")).await;

        // What the visitor had opened is still open.
        click(&client, "form[action$='/cancel'] button", ".badge-cancelled").await;
        assert_eq!(text(&client, ".badge").await, cancelled);
        mark(&client).await;
        until_it_says(&client, ".moments", refunded).await;
        assert!(is_marked(&client).await, "nothing was loaded");
        assert!(client.find(Locator::Css("details.cancel")).await.is_err());
        picture(&client, &format!("order-refunded-{name}")).await;
        client.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_opens_the_order_by_its_link() {
    let Some(browser) = shop_testing::browser().await else { return };
    let shop = Shop::embedded(&[]).await;
    let order = serde_json::json!({ "customer_email": "guest@example.com", "items": [{ "product_id": 1, "quantity": 1 }] });
    let placed =
        crate::support::http().post(format!("{}/orders", shop.order)).json(&order).send().await.unwrap();
    let placed: serde_json::Value = placed.json().await.unwrap();
    let (id, token) = (placed["id"].as_str().unwrap(), placed["order_token"].as_str().unwrap());

    let client = open(&browser, "en-US", (390, 844)).await;
    client.goto(&format!("{}/orders/{id}?token={token}", shop.web)).await.unwrap();
    until_it_says(&client, ".badge", "Confirmed").await;
    let url = client.current_url().await.unwrap();
    assert_eq!(
        (url.path(), url.query()),
        (&*format!("/orders/{id}"), None),
        "the token has left the address"
    );
    let sure = client.find(Locator::Css("details.cancel summary")).await.unwrap();
    sure.click().await.unwrap();
    click(&client, "form[action$='/cancel'] button", ".badge-cancelled").await;
    assert!(text(&client, "[data-part=status]").await.contains("You cancelled this order."));
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_storefront_speaks_russian_and_english() {
    let Some(browser) = shop_testing::browser().await else { return };
    let shop = Shop::embedded(&[]).await;
    let client = open(&browser, "ru-RU", (390, 844)).await;
    client.goto(&shop.web).await.unwrap();
    let language = || async { client.find(Locator::Css("html")).await.unwrap().attr("lang").await.unwrap() };
    assert_eq!(language().await.as_deref(), Some("ru"));
    picture(&client, "home-ru-phone").await;
    let scrolls: bool = client
        .execute("return document.documentElement.scrollWidth > window.innerWidth", vec![])
        .await
        .unwrap()
        .as_bool()
        .unwrap();
    assert!(!scrolls, "nothing is wider than a phone");
    click(&client, "form[action='/language'] button:not([disabled]):not([aria-current])", "html[lang=en]")
        .await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_agree_after_a_login_and_a_logout_in_one_of_them() {
    let Some(browser) = shop_testing::browser().await else { return };
    let shop = Shop::embedded(&[]).await;
    let client = open(&browser, "en-US", (1280, 900)).await;
    let at = |path: &str| format!("{}{path}", shop.web);
    let (logout, register) =
        ("form[action='/logout'] button", "form[action='/register'] button[type=submit]");
    let login = "form[action='/login'] button[type=submit]";

    client.goto(&at("/register")).await.unwrap();
    let first = client.window().await.unwrap();
    let second = client.new_window(true).await.unwrap().handle;
    let third = client.new_window(true).await.unwrap().handle;
    for (tab, path) in [(&second, "/products/1"), (&third, "/login?next=%2Fcatalog")] {
        client.switch_to_window(tab.clone()).await.unwrap();
        client.goto(&at(path)).await.unwrap();
    }
    client.switch_to_window(first.clone()).await.unwrap();
    fill(&client, "#email", "tabs@example.com").await;
    fill(&client, "#password", "password123").await;
    click(&client, register, logout).await;

    // A form opened before the login still works: the product is in the cart, and the second login continues to its target.
    client.switch_to_window(second.clone()).await.unwrap();
    click(&client, "form[action='/cart/add'] button[type=submit]", ".toast a[href='/cart']").await;
    assert!(client.source().await.unwrap().contains("tabs@example.com"), "the login stays");
    client.switch_to_window(third.clone()).await.unwrap();
    fill(&client, "#email", "tabs@example.com").await;
    fill(&client, "#password", "password123").await;
    click(&client, login, logout).await;
    assert_eq!(client.current_url().await.unwrap().path(), "/catalog");

    // And two logouts act as one.
    click(&client, logout, "nav.menu a[href='/login']").await;
    client.switch_to_window(second).await.unwrap();
    click(&client, logout, "nav.menu a[href='/login']").await;
    assert_eq!(client.current_url().await.unwrap().path(), "/");
    client.close().await.unwrap();
}
