use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{on_both_backends, shop::Shop};

on_both_backends!(
    a_new_shop_sells_the_specifications_products,
    the_list_is_cached_and_knows_what_the_client_has,
    products_are_searched_whatever_the_case,
    products_are_narrowed_by_category_and_by_id,
    pages_lead_through_every_product_once,
    an_admin_keeps_the_catalog,
    a_deleted_product_does_not_come_back,
    every_product_has_an_inert_picture,
    the_operational_pages_answer,
);

async fn a_new_shop_sells_the_specifications_products(shop: Shop) {
    let products = shop.json("/products").await;
    let products = products.as_array().unwrap();
    assert_eq!(products.len(), 16);
    assert_eq!((&products[0]["price"], &products[1]["price"]), (&json!(500.0), &json!(1500.0)));
    for (id, product) in (1..).zip(products) {
        assert_eq!(product["id"], id);
        assert_eq!(product["currency"], "RUB");
        assert_eq!(product["picture"], format!("/products/{id}/picture.svg"));
        assert_eq!(shop.json(&format!("/products/{id}")).await, *product);
        for field in ["name", "description", "category"] {
            assert!(!product[field].as_str().unwrap().is_empty(), "{field} of {id}");
        }
    }
    assert_eq!(shop.get("/products/17").await.status(), StatusCode::NOT_FOUND);
}

async fn the_list_is_cached_and_knows_what_the_client_has(shop: Shop) {
    let first = shop.get("/products").await;
    let second = shop.get("/products").await;
    assert_eq!(first.headers()["x-cache"], "miss");
    assert_eq!(second.headers()["x-cache"], "hit");
    assert_eq!(first.headers()[header::ETAG], second.headers()[header::ETAG]);
    let etag = second.headers()[header::ETAG].clone();
    assert_eq!(first.text().await.unwrap(), second.text().await.unwrap());

    let known =
        shop.request(Method::GET, "/products").header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()[header::ETAG], etag);
    assert_eq!(known.text().await.unwrap(), "");
    shop.set_stock(7).await;
    let changed =
        shop.request(Method::GET, "/products").header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert_eq!(shop.metric("catalog_cache_hits_total"), 2);
    assert_eq!(shop.metric("catalog_cache_misses_total"), 2);
    assert_eq!(shop.metric("catalog_cache_errors_total"), 0);
}

async fn products_are_searched_whatever_the_case(shop: Shop) {
    assert_eq!(shop.ids("/products?q=MORNING").await, [1]);
    assert_eq!(shop.ids("/products?q=bamboo%20ribs").await, [12]);
    assert_eq!(shop.ids("/products?q=no%20such%20thing").await, [0_i64; 0]);
    let body = json!({
        "name": "Чашка 100%", "description": "under_score", "price": 1, "category": "kitchen", "stock": 1
    });
    assert_eq!(shop.write(Method::POST, "/products", &body).await.status(), StatusCode::CREATED);
    assert_eq!(shop.ids("/products?q=ЧАШКА").await, [17]);
    // LIKE's wildcards are matched literally.
    assert_eq!(shop.ids("/products?q=0%25").await, [17]);
    assert_eq!(shop.ids("/products?q=%25").await, [17]);
    assert_eq!(shop.ids("/products?q=r_s").await, [17]);
    assert_eq!(shop.ids("/products?q=%5C").await, [0_i64; 0]);
    // Empty parameters do not restrict.
    assert_eq!(shop.ids("/products?q=&category=").await.len(), 17);
}

async fn products_are_narrowed_by_category_and_by_id(shop: Shop) {
    assert_eq!(shop.ids("/products?category=kitchen").await, [1, 2]);
    assert_eq!(shop.ids("/products?category=kitchen&q=clay").await, [2]);
    assert_eq!(shop.ids("/products?ids=2,1,2,999,-5").await, [1, 2]);

    // An order is placed at these prices, so they come from the database.
    shop.get("/products").await;
    let response = shop.get("/products?ids=1").await;
    assert_eq!(response.headers()["x-cache"], "bypass");
}

async fn pages_lead_through_every_product_once(shop: Shop) {
    let mut path = "/products?limit=7".to_owned();
    let mut seen = Vec::new();
    loop {
        let response = shop.get(&path).await;
        let next = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        let products: Vec<Value> = response.json().await.unwrap();
        seen.extend(products.iter().map(|product| product["id"].as_i64().unwrap()));
        let Some(next) = next else { break };
        assert_eq!(products.len(), 7);
        path = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(seen, (1..=16).collect::<Vec<i64>>());
    // A full last page has no next page.
    assert!(shop.get("/products?limit=16").await.headers().get(header::LINK).is_none());
    let filtered = shop.get("/products?category=desk&limit=1").await;
    assert!(
        filtered.headers()[header::LINK]
            .to_str()
            .unwrap()
            .starts_with("</products?category=desk&limit=1&cursor=")
    );
}

async fn an_admin_keeps_the_catalog(shop: Shop) {
    shop.get("/products").await;
    let body = json!({ "name": " Brass Ruler ", "price": 349.9, "category": "desk", "stock": 4 });
    let created = shop.write(Method::POST, "/products", &body).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()[header::LOCATION], "/products/17");
    let created: Value = created.json().await.unwrap();
    let expected = json!({
        "id": 17, "name": "Brass Ruler", "description": "", "price": 349.9, "currency": "RUB", "category": "desk",
        "stock": 4, "picture": "/products/17/picture.svg"
    });
    assert_eq!(created, expected);
    assert_eq!(shop.listed(17).await.1, expected);

    let body = json!({ "name": "Steel Ruler", "price": 200, "category": "desk", "stock": 0, "drawing": "pencil-cup" });
    let replaced = shop.write(Method::PUT, "/products/17", &body).await;
    assert_eq!(replaced.status(), StatusCode::OK);
    assert_eq!(shop.listed(17).await.1["name"], "Steel Ruler");
    assert_eq!(shop.ids("/products?q=steel%20ruler").await, [17]);
    let drawn = shop.get("/products/17/picture.svg").await.text().await.unwrap();
    assert_eq!(drawn, shop.get("/products/5/picture.svg").await.text().await.unwrap());

    // A description without a drawing keeps the picture.
    let body = json!({ "name": "Steel Ruler", "price": 210, "category": "desk", "stock": 0 });
    shop.write(Method::PUT, "/products/17", &body).await;
    assert_eq!(shop.get("/products/17/picture.svg").await.text().await.unwrap(), drawn);

    assert_eq!(
        shop.write(Method::DELETE, "/products/17", &Value::Null).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(shop.listed(17).await.1, Value::Null);
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(shop.write(method, "/products/17", &body).await.status(), StatusCode::NOT_FOUND);
    }
    // An id is not reused.
    let created: Value = shop.write(Method::POST, "/products", &body).await.json().await.unwrap();
    assert_eq!(created["id"], 18);
}

async fn a_deleted_product_does_not_come_back(shop: Shop) {
    shop.write(Method::DELETE, "/products/3", &Value::Null).await;
    let restarted = shop.replica().await;
    assert_eq!(restarted.ids("/products").await.len(), 15);
    assert_eq!(restarted.get("/products/3").await.status(), StatusCode::NOT_FOUND);
}

async fn every_product_has_an_inert_picture(shop: Shop) {
    let body = json!({ "name": "Thing", "price": 1, "category": "else", "stock": 1 });
    shop.write(Method::POST, "/products", &body).await;
    let mut pictures = std::collections::HashSet::new();
    for id in 1..=17 {
        let path = format!("/products/{id}/picture.svg");
        let response = shop.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        assert_eq!(headers[header::CONTENT_TYPE], "image/svg+xml");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'none'; style-src 'unsafe-inline'");
        assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("max-age="));
        let known = shop
            .request(Method::GET, &path)
            .header(header::IF_NONE_MATCH, &headers[header::ETAG])
            .send()
            .await;
        assert_eq!(known.unwrap().status(), StatusCode::NOT_MODIFIED);
        pictures.insert(response.text().await.unwrap());
    }
    assert_eq!(pictures.len(), 17, "each has a picture of its own");
    assert_eq!(shop.get("/products/99/picture.svg").await.status(), StatusCode::NOT_FOUND);
}

async fn the_operational_pages_answer(shop: Shop) {
    assert_eq!(shop.json("/health").await, json!({ "status": "ok", "service": "catalog_service" }));
    assert_eq!(shop.json("/readyz").await["status"], "ok");
    let api = shop.json("/openapi.json").await;
    for (path, methods) in [
        ("/products", &["get", "post"][..]),
        ("/products/{id}", &["get", "put", "delete"]),
        ("/products/{id}/picture.svg", &["get"]),
    ] {
        for method in methods {
            assert!(api["paths"][path][method].is_object(), "{method} {path}");
        }
    }
}
