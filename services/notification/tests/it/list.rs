//! `GET /notifications`.

use reqwest::Method;
use shop_runtime::auth::Role;
use shop_testing::mail_sink::MailSink;

use crate::harness::{Order, Place, everywhere, mails, token, until};

everywhere! { an_admin_pages_through_what_was_told }

async fn an_admin_pages_through_what_was_told(place: Place) {
    let sink = MailSink::start();
    let service = place.start_with(&sink).await;
    let orders: Vec<_> = (0..5).map(|number| Order::of(&format!("{number}@example.com"))).collect();
    for order in &orders {
        place.publish(&[order.created()]).await;
    }
    place.publish(&[orders[2].confirmed()]).await;
    mails(&sink, 6).await;
    until(async || (service.told().await.len() == 6).then_some(())).await;

    let (mut path, mut ids) = ("/notifications?limit=4".to_owned(), Vec::new());
    let mut pages = 0;
    loop {
        let (status, link, list) = service.get(&path).await;
        assert_eq!(status, 200, "{list}");
        ids.extend(list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    }
    assert_eq!((pages, ids.len()), (2, 6));
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");

    let (_, _, of_one) = service.get(&format!("/notifications?order_id={}", orders[2].id)).await;
    let events: Vec<_> = of_one.as_array().unwrap().iter().map(|one| one["event_type"].clone()).collect();
    assert_eq!(events, ["order_confirmed", "order_created"]);
    let one = &of_one[0];
    assert_eq!(
        (&one["channel"], &one["to"], &one["state"]),
        (&"email".into(), &"2@example.com".into(), &"sent".into())
    );
    assert_eq!(one["order_id"], orders[2].id.to_string());

    for query in ["limit=0", "limit=1001", "cursor=x", "order_id=7", "state=sent"] {
        let (status, _, problem) = service.get(&format!("/notifications?{query}")).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }
    let customer = token("0@example.com", Role::Customer);
    let forbidden =
        service.request(Method::GET, "/notifications").bearer_auth(customer).send().await.unwrap();
    assert_eq!(forbidden.status(), 403);
    let anonymous = service.request(Method::GET, "/notifications").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}
