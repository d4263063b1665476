//! The administrators' lists.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use shop_runtime::auth::Role;

use crate::{
    events::{confirmed, created, new_order},
    on_both_backends,
    shop::{Shop, token},
};

on_both_backends!(
    the_books_begin_with_what_the_products_had,
    only_an_admin_sees_the_books,
    the_books_are_read_page_by_page,
    what_cannot_be_asked_for_is_refused,
);

async fn the_books_begin_with_what_the_products_had(shop: Shop) {
    let products = shop.json("/products").await;
    let books = shop.books("/stock").await;
    assert_eq!(books.as_array().unwrap().len(), 16);
    for (product, level) in products.as_array().unwrap().iter().zip(books.as_array().unwrap()) {
        let stock = &product["stock"];
        let expected = json!({
            "product_id": product["id"], "received": stock, "on_hand": stock, "reserved": 0, "available": stock
        });
        assert_eq!(*level, expected);
    }
    assert_eq!(shop.books("/reservations").await, json!([]));
}

async fn only_an_admin_sees_the_books(shop: Shop) {
    for path in ["/stock", "/reservations"] {
        assert_eq!(shop.get(path).await.status(), StatusCode::UNAUTHORIZED);
        let customer = shop.request(Method::GET, path).bearer_auth(token(Role::Customer, 60)).send().await;
        assert_eq!(customer.unwrap().status(), StatusCode::FORBIDDEN);
    }
}

/// All entries, page by page, and how many pages there were.
async fn crawl(shop: &Shop, mut path: String) -> (Vec<Value>, usize) {
    let (mut entries, mut pages) = (Vec::new(), 0);
    loop {
        let request = shop.request(Method::GET, &path).bearer_auth(token(Role::Admin, 60));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let next = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        entries.extend(response.json::<Vec<Value>>().await.unwrap());
        pages += 1;
        let Some(next) = next else { return (entries, pages) };
        path = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
}

async fn the_books_are_read_page_by_page(shop: Shop) {
    let (levels, pages) = crawl(&shop, "/stock?limit=5".to_owned()).await;
    assert_eq!((levels.len(), pages), (16, 4));
    assert_eq!(Value::from(levels), shop.books("/stock").await);

    let orders: Vec<_> = (0..7).map(|_| new_order()).collect();
    let events: Vec<_> = orders.iter().map(|order| created(*order, &[(1, 1), (2, 2)])).collect();
    shop.tell(&events).await;
    shop.tell(&[confirmed(orders[1]), confirmed(orders[4])]).await;
    let (all, pages) = crawl(&shop, "/reservations?limit=3".to_owned()).await;
    assert_eq!((all.len(), pages), (7, 3));
    let ids: Vec<_> = all.iter().map(|kept| kept["order_id"].as_str().unwrap().to_owned()).collect();
    let mut newest_first: Vec<_> = orders.iter().map(ToString::to_string).collect();
    newest_first.sort_by(|one, other| other.cmp(one));
    assert_eq!(ids, newest_first);
    let items = json!([{ "product_id": 1, "quantity": 1 }, { "product_id": 2, "quantity": 2 }]);
    assert!(all.iter().all(|kept| kept["items"] == items), "{all:?}");
    let (sold, pages) = crawl(&shop, "/reservations?state=sold&limit=1".to_owned()).await;
    assert_eq!((sold.len(), pages), (2, 2));
    let (reserved, _) = crawl(&shop, "/reservations?state=reserved&limit=1000".to_owned()).await;
    assert_eq!(reserved.len(), 5);
}

async fn what_cannot_be_asked_for_is_refused(shop: Shop) {
    for path in [
        "/stock?limit=0",
        "/stock?limit=1001",
        "/stock?limit=many",
        "/stock?cursor=nonsense",
        "/stock?cursor=",
        "/stock?state=sold",
        "/reservations?limit=0",
        "/reservations?limit=1001",
        "/reservations?state=lost",
        "/reservations?state=",
        "/reservations?cursor=AAAA",
        "/reservations?order=1",
    ] {
        let request = shop.request(Method::GET, path).bearer_auth(token(Role::Admin, 60));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["type"], "https://shop.dev/problems/malformed-request", "{path}");
    }
    // What matches nothing is an empty page.
    assert_eq!(shop.books("/reservations?state=sold").await, json!([]));
}
