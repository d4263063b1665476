use jsonwebtoken::Algorithm;
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use shop_runtime::auth::Role;

use crate::{
    on_both_backends,
    shop::{Shop, sign, token},
};

on_both_backends!(only_an_admin_writes, what_cannot_be_read_is_a_problem_and_changes_nothing);

/// Sends `request`, and expects a problem with `status`.
async fn refused(request: RequestBuilder, status: u16, what: &str) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{what}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{what}");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status, "{what}");
}

async fn only_an_admin_writes(shop: Shop) {
    let before = shop.json("/products").await;
    let good = token(Role::Admin, 60);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    let forged = sign(Algorithm::HS256, b"another secret that is long enough", Role::Admin, 60);
    let foreign = sign(Algorithm::HS512, &[7; 64], Role::Admin, 60);
    let cases = [
        ("no token", None, 401),
        ("garbage", Some("Bearer garbage".to_owned()), 401),
        ("another scheme", Some("Basic YTpi".to_owned()), 401),
        ("a forged token", Some(format!("Bearer {forged}")), 401),
        ("another algorithm", Some(format!("Bearer {foreign}")), 401),
        ("an unsigned token", Some(format!("Bearer {unsigned}")), 401),
        ("an expired token", Some(format!("Bearer {}", token(Role::Admin, -60))), 401),
        ("a huge token", Some(format!("Bearer {}", "x".repeat(6000))), 401),
        ("a customer", Some(format!("Bearer {}", token(Role::Customer, 60))), 403),
    ];
    let body = json!({ "name": "Mine", "price": 1, "category": "desk", "stock": 1 });
    for (what, authorization, status) in cases {
        for (method, path) in
            [(Method::POST, "/products"), (Method::PUT, "/products/1"), (Method::DELETE, "/products/1")]
        {
            let mut request = shop.request(method, path).json(&body);
            if let Some(authorization) = &authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            refused(request, status, what).await;
        }
    }
    assert_eq!(shop.json("/products").await, before);
}

async fn what_cannot_be_read_is_a_problem_and_changes_nothing(shop: Shop) {
    let before = shop.json("/products").await;
    let good = json!({ "name": "Thing", "price": 1, "category": "desk", "stock": 1 });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(100_000));
    let deep = format!("{{\"x\":{}", "[".repeat(50_000));
    let bodies = [
        (String::new(), 400),
        ("{".to_owned(), 400),
        ("null".to_owned(), 422),
        ("[]".to_owned(), 422),
        ("{}".to_owned(), 422),
        (deep, 400),
        (huge, 413),
        (format!("{good} x"), 400),
        (with("name", json!(5)), 422),
        (with("name", json!("")), 422),
        (with("name", json!("a\0b")), 400),
        (with("price", json!("1")), 422),
        (with("price", json!(0)), 422),
        (with("price", json!(-1)), 422),
        (with("price", json!(0.001)), 422),
        (with("price", json!(1e300)), 422),
        (with("category", json!("Not A Slug")), 422),
        (with("stock", json!(-1)), 422),
        (with("stock", json!(1.5)), 422),
        (with("stock", json!(4_000_000_000_u32)), 422),
        (with("drawing", json!("../../etc/passwd")), 422),
    ];
    for (method, path) in [(Method::POST, "/products"), (Method::PUT, "/products/1")] {
        for (body, status) in &bodies {
            let request = shop
                .request(method.clone(), path)
                .bearer_auth(token(Role::Admin, 60))
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
            refused(request, *status, &body[..body.len().min(80)]).await;
        }
        let unlabelled =
            shop.request(method, path).bearer_auth(token(Role::Admin, 60)).body(good.to_string());
        refused(unlabelled, 415, "no content type").await;
    }
    let many = format!("/products?ids={}", vec!["1"; 101].join(","));
    let long = format!("/products?q={}", "x".repeat(65));
    for (path, status) in [
        ("/products?limit=0", 400),
        // Not ignored, or a misspelt filter would list everything.
        ("/products?categori=books", 400),
        ("/products?ids=1&=", 400),
        ("/products?limit=101", 400),
        ("/products?limit=-1", 400),
        ("/products?limit=ten", 400),
        ("/products?limit=99999999999999999999", 400),
        ("/products?cursor=nonsense", 400),
        ("/products?cursor=%F0%9F%A6%80", 400),
        ("/products?ids=", 400),
        ("/products?ids=1;drop", 400),
        (&many, 400),
        (&long, 400),
        ("/products?q=%00", 400),
        ("/products?category=a%00b", 400),
        ("/products?q=a&q=b", 400),
        ("/products/abc", 404),
        ("/products/0", 404),
        ("/products/-1", 404),
        ("/products/99999999999999999999", 404),
        ("/products/1%00", 404),
        ("/products/1/picture.png", 404),
    ] {
        refused(shop.request(Method::GET, path), status, path).await;
    }
    refused(shop.request(Method::PATCH, "/products"), 405, "PATCH").await;
    // Bytes that are not UTF-8 name nothing.
    assert_eq!(shop.ids("/products?q=%FF").await, [0_i64; 0]);
    let odd = shop.request(Method::GET, "/products").header(header::IF_NONE_MATCH, "\"\u{e9}, W/, ,,").send();
    assert_eq!(odd.await.unwrap().status(), StatusCode::OK);
    assert_eq!(shop.json("/products").await, before);
}
