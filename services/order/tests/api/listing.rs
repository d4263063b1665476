use crate::harness::{Answer, Orders, Who, on_both_databases};

on_both_databases!(
    pages_follow_one_another_newest_first,
    an_empty_list_is_a_list,
    a_page_that_cannot_be_is_refused
);

fn ids(answer: &Answer) -> Vec<String> {
    let orders = answer.json();
    orders.as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

/// The path in `Link: </orders?…>; rel="next"`.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
}

async fn pages_follow_one_another_newest_first(orders: Orders) {
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(orders.placed_by(Who::Anna).await);
        orders.placed_by(Who::Boris).await;
    }
    placed.reverse();

    let first = orders.get(Who::Anna, "/orders?limit=2").await.expect(200, "");
    assert_eq!(ids(&first), placed[..2]);
    // Orders placed in between do not move the pages.
    let late = orders.placed_by(Who::Anna).await;
    let second = orders.get(Who::Anna, &next(&first).unwrap()).await.expect(200, "");
    assert_eq!(ids(&second), placed[2..4]);
    let third = orders.get(Who::Anna, &next(&second).unwrap()).await.expect(200, "");
    assert_eq!((ids(&third), next(&third)), (placed[4..].to_vec(), None));

    placed.insert(0, late);
    let whole = orders.get(Who::Anna, "/orders").await.expect(200, "");
    assert_eq!((ids(&whole), next(&whole)), (placed, None));
    assert_eq!(whole.json()[0]["items"][0]["name"], "Product 1");
}

async fn an_empty_list_is_a_list(orders: Orders) {
    let list = orders.get(Who::Anna, "/orders").await.expect(200, "");
    assert_eq!((list.text.as_str(), next(&list)), ("[]", None));
}

async fn a_page_that_cannot_be_is_refused(orders: Orders) {
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "limti=1",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "cursor=%ff",
        "cursor=AAAA",
    ] {
        orders.get(Who::Anna, &format!("/orders?{query}")).await.expect(400, "malformed-request");
    }
}
