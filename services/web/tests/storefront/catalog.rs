use serde_json::json;

use crate::Shop;

#[tokio::test]
async fn the_home_page_shows_what_is_for_sale() {
    let shop = Shop::open().await;
    let page = shop.browser().get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    page.shows("<html lang=\"en\">");
    page.shows("Morning Mug");
    page.shows("RUB\u{a0}1,500.00");
    page.shows("Only 3 left");
    page.shows("Sold out");
    page.shows("&#60;b&#62;Lamp&#60;/b&#62; &#38; Co");
    page.hides("<b>Lamp");
}

#[tokio::test]
async fn the_catalog_is_searched_filtered_and_paged() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.get("/catalog?category=kitchen").await;
    page.shows("Clay Teapot");
    page.hides("Lamp");
    page.shows("href=\"/catalog?category=kitchen&#38;cursor=after%3D2\"");
    page.shows("href=\"/catalog?category=lighting\"");

    browser.get("/catalog?category=kitchen&cursor=after%3D2").await.shows("Back to the start");
    let asked = shop.upstreams.catalog.last();
    assert_eq!(asked.uri.query().unwrap(), "category=kitchen&cursor=after%3D2&limit=12");

    let page = browser.get("/catalog?q=%22%3E%3Cscript%3E").await;
    page.shows("Nothing found");
    page.hides("<script>");
    browser.get("/catalog?q=Mug&category=").await.shows("Results for “Mug”");
}

#[tokio::test]
async fn a_product_has_a_page_and_an_unknown_one_a_friendly_404() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.get("/products/2").await;
    page.shows("<h1 dir=\"auto\">Clay Teapot</h1>");
    page.shows("max=\"3\"");
    browser.get("/products/3").await.hides("name=\"quantity\"");
    for path in [
        "/products/99",
        "/products/x",
        "/products/%00",
        "/products/%ff",
        "/nowhere",
        "/orders/rubbish/x",
        "/static/x.css",
        "/static/%ff",
        "/pictures/%ff",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        page.shows("No such page");
    }
}

#[tokio::test]
async fn pictures_come_from_our_own_origin_and_are_kept() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let picture = browser.get("/pictures/1.svg").await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/svg+xml"));
    assert!(picture.header("content-security-policy").contains("sandbox"));
    assert!(picture.header("cache-control").contains("max-age=600"));
    let etag = picture.header("etag").to_owned();

    let again = browser.request(reqwest::Method::GET, "/pictures/1.svg").header("if-none-match", &etag);
    assert_eq!(browser.send(again).await.status, 304);
    assert_eq!(shop.upstreams.catalog.asked().len(), 1);
    for path in ["/pictures/2.svg", "/pictures/1.png", "/pictures/x.svg"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_picture_is_not_passed_on() {
    let shop = Shop::open().await;
    shop.upstreams.catalog.answers(200, Some(("content-type", "text/html")), b"<script>alert(1)</script>");
    assert_eq!(shop.browser().get("/pictures/1.svg").await.status, 502);
}

#[tokio::test]
async fn the_catalog_away_is_a_friendly_page_in_the_persons_language() {
    let shop = Shop::open_with(|config| config.catalog_url = "http://127.0.0.1:9".parse().unwrap()).await;
    let mut browser = shop.browser();
    for path in ["/", "/catalog", "/products/1"] {
        let page = browser.get(path).await;
        assert_eq!((page.status, page.header("retry-after")), (503, "5"), "{path}");
        page.shows("Back in a moment");
    }
    browser.headers.insert("accept-language", "ru".to_owned());
    browser.get("/").await.shows("Скоро вернёмся");
}

#[tokio::test]
async fn a_catalog_that_breaks_its_contract_breaks_no_page_of_ours() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let huge = vec![b' '; 2 * 1024 * 1024];
    for (status, body) in [
        (200, &b"<html>"[..]),
        (200, &huge),
        (302, b""),
        (500, b"stack trace"),
        (418, b""),
        (200, b"[{\"id\":1}]"),
    ] {
        shop.upstreams.catalog.answers(status, None, body);
        let page = browser.get("/").await;
        assert!([400, 502, 503].contains(&page.status), "{status} became {}", page.status);
        page.shows("Home page");
        page.hides("stack trace");
    }
    shop.upstreams.catalog.recovers();
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_program_that_asks_for_json_gets_a_problem() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.headers.insert("accept", "application/json".to_owned());
    let answer = browser.get("/nowhere").await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&json!(404), &json!("https://shop.dev/problems/not-found"))
    );
}
