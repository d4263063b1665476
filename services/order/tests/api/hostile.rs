use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use jsonwebtoken::Algorithm;
use serde_json::json;
use shop_runtime::auth::Claims;

use crate::harness::{Orders, Who, on_both_databases, one_of, send, token};

on_both_databases!(a_bad_body_is_a_problem_of_the_client, a_bad_token_is_refused_everywhere);

async fn a_bad_body_is_a_problem_of_the_client(orders: Orders) {
    let huge = format!(r#"{{"customer_email":"a@example.com","items":[{}]}}"#, " ".repeat(100_000));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let whole = |item: &str| format!(r#"{{"customer_email":"a@example.com","items":[{item}]}}"#);
    for (body, status) in [
        (String::new(), 400),
        ("{".to_owned(), 400),
        ("null".to_owned(), 422),
        ("[]".to_owned(), 422),
        ("\0".to_owned(), 400),
        ("\u{feff}{}".to_owned(), 400),
        (deep, 422),
        (huge, 413),
        (r#"{"customer_email":"a@example.com"}"#.to_owned(), 422),
        (r#"{"customer_email":"a@example.com","items":{}}"#.to_owned(), 422),
        (r#"{"customer_email":"a@example.com","items":[null]}"#.to_owned(), 422),
        (r#"{"customer_email":7,"items":[{"product_id":1,"quantity":1}]}"#.to_owned(), 422),
        (r#"{"customer_email":"nobody","items":[{"product_id":1,"quantity":1}]}"#.to_owned(), 422),
        (
            r#"{"customer_email":"a\u0000@example.com","items":[{"product_id":1,"quantity":1}]}"#.to_owned(),
            400,
        ),
        (whole(r#"{"product_id":"1","quantity":1}"#), 422),
        (whole(r#"{"product_id":1.5,"quantity":1}"#), 422),
        (whole(r#"{"product_id":99999999999999999999,"quantity":1}"#), 422),
        (whole(r#"{"product_id":9223372036854775807,"quantity":1}"#), 422),
        (whole(r#"{"product_id":1,"quantity":-1}"#), 422),
        (whole(r#"{"product_id":1,"quantity":4294967296}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1e9}"#), 422),
        (whole(r#"{"product_id":1,"quantity":"1"}"#), 422),
        (whole(r#"{"product_id":1}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1,"price":"500"}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1,"price":-500}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1,"price":500.001}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1,"price":1e308}"#), 422),
        (whole(r#"{"product_id":1,"quantity":1,"price":1e999}"#), 400),
    ] {
        let short: String = body.chars().take(80).collect();
        let request = orders.request(Method::POST, "/orders").header("Content-Type", "application/json");
        let answer = send(request.body(body)).await;
        assert_eq!(answer.status, status, "{short:?}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{short:?}");
    }
    let invalid_utf8 = orders.request(Method::POST, "/orders").header("Content-Type", "application/json");
    send(invalid_utf8.body(b"{\"items\":\"\xff\"}".to_vec())).await.expect(400, "malformed-request");
    let no_json = orders.request(Method::POST, "/orders").body("items=1");
    send(no_json).await.expect(415, "unsupported-media-type");
    send(orders.request(Method::DELETE, "/orders")).await.expect(405, "method-not-allowed");
    for path in ["/orders/%00", "/orders/1", "/orders/..%2f..%2fetc"] {
        orders.get(Who::Guest, path).await.expect(404, "not-found");
    }
    assert_eq!(orders.count("orders").await, 0);
    assert_eq!(orders.metric("http_server_panics_total").await, Some(0));
}

async fn a_bad_token_is_refused_everywhere(orders: Orders) {
    let claims = Who::Admin.claims(3600);
    let parts: Vec<String> = token(Algorithm::HS256, &claims).split('.').map(ToOwned::to_owned).collect();
    let header = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    for authorization in [
        format!("Bearer {}", token(Algorithm::HS256, &Who::Admin.claims(-3600))),
        format!("Bearer {}", token(Algorithm::HS384, &claims)),
        format!("Bearer {}", token(Algorithm::HS256, &Claims { iss: "elsewhere".to_owned(), ..claims })),
        format!("Bearer {}.{}.", header(r#"{"alg":"none"}"#), parts[1]),
        format!("Bearer {}.{}.{}", header(r#"{"alg":"None"}"#), parts[1], parts[2]),
        format!("Bearer {}.{}.{}", header(r#"{"alg":"RS256"}"#), parts[1], parts[2]),
        format!("Bearer {}.{}.{}", parts[0], header(&json!({"sub":"x"}).to_string()), parts[2]),
        format!("Bearer {}", "x".repeat(5000)),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer a.b.c".to_owned(),
        "Basic YWRtaW46YWRtaW4=".to_owned(),
    ] {
        for (method, path) in [
            (Method::POST, "/orders"),
            (Method::GET, "/orders"),
            (Method::GET, "/orders/00000000-0000-7000-8000-000000000000"),
            (Method::GET, "/orders/00000000-0000-7000-8000-000000000000/events"),
            (Method::POST, "/orders/00000000-0000-7000-8000-000000000000/cancel"),
            (Method::POST, "/orders/00000000-0000-7000-8000-000000000000/ship"),
            (Method::POST, "/orders/00000000-0000-7000-8000-000000000000/deliver"),
        ] {
            let request = orders.request(method, path).json(&one_of(Who::Guest, 1));
            send(request.header("Authorization", &authorization)).await.expect(401, "unauthorized");
        }
    }
    assert_eq!(orders.count("orders").await, 0);
}
