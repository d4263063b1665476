//! Languages.

use crate::Shop;

#[tokio::test]
async fn a_visitor_reads_the_language_of_the_browser() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.headers.insert("accept-language", "ru-RU,ru;q=0.9,en;q=0.8".to_owned());
    let page = browser.get("/").await;
    page.shows("<html lang=\"ru\">");
    page.shows("1\u{a0}500,00\u{a0}₽");
    page.shows("В корзину");
    assert_eq!(page.header("content-language"), "ru");
}

#[tokio::test]
async fn the_switch_changes_the_language_and_stays_on_the_page() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.get("/catalog?category=kitchen").await;
    page.shows("name=\"next\" value=\"/catalog?category=kitchen\"");
    let answer = browser.submit("/language", &[("lang", "ru"), ("next", "/catalog?category=kitchen")]).await;
    assert_eq!((answer.status, answer.location()), (303, "/catalog?category=kitchen"));
    browser.get("/").await.shows("<html lang=\"ru\">");
    browser.submit("/language", &[("lang", "en"), ("next", "//evil.example")]).await;
    browser.get("/").await.shows("<html lang=\"en\">");
    assert_eq!(browser.submit("/language", &[("lang", "xx")]).await.status, 400);
}

#[tokio::test]
async fn every_page_speaks_one_language_only() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let is_cyrillic = |c: char| ('\u{400}'..='\u{4ff}').contains(&c);
    customer.submit("/cart/add", &[("product_id", "1")]).await;
    customer.get("/").await;
    customer.submit("/cart/add", &[("product_id", "1")]).await;
    let order = format!("/orders/{}", crate::upstream::ORDER_ID);
    for path in ["/", "/catalog", "/products/1", "/cart", "/orders", &order, "/nowhere"] {
        let page = customer.get(path).await;
        let foreign = page.body.replace("Русский", "");
        assert!(!foreign.contains(is_cyrillic), "{path}");
    }
}
