//! The stream of an order's life.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    harness::{Answer, Orders, Who, as_caller, on_both_backends, one_of, send, until},
    news::{payment_processed, payment_refunded, stock_reserved},
};

on_both_backends!(
    a_stream_tells_an_orders_life_as_it_happens,
    any_replica_tells_what_another_one_did,
    a_client_that_comes_back_gets_the_rest,
    a_cancelled_orders_stream_ends_when_nothing_is_owed,
    a_stream_is_for_those_who_may_read_the_order,
    streams_end_when_the_service_stops,
    an_order_has_a_bounded_number_of_streams,
);

const PATIENCE: Duration = Duration::from_secs(20);

/// A stream as a client reads it.
struct Stream {
    response: Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    id: String,
    event: String,
    data: Value,
}

impl Stream {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    /// The next block, a comment or an event; `None` when the stream has ended as it should.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("it is not silent for long");
            let chunk = chunk.expect("it ends properly")?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("{name} {block}")).trim().to_owned()
            };
            let data = serde_json::from_str(&field("data:")).unwrap();
            return Some(Event { id: field("id:"), event: field("event:"), data });
        }
    }

    /// The names of the next `count` events.
    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.next().await.unwrap().event);
        }
        names
    }
}

fn events_of(orders: &Orders, who: Who, id: &str) -> RequestBuilder {
    as_caller(orders.request(Method::GET, &format!("/orders/{id}/events")), who)
}

async fn a_stream_tells_an_orders_life_as_it_happens(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let mut stream = Stream::open(events_of(&orders, Who::Anna, &id)).await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.id.as_str(), first.event.as_str()), ("1", "placed"));
    let data = json!({ "seq": 1, "at": "2027-01-15T08:00:01Z", "event": "placed", "status": "pending" });
    assert_eq!(first.data, data);
    orders.tell([(&*id, stock_reserved(&id))]).await;
    let reserved = stream.next().await.unwrap();
    assert_eq!((reserved.id.as_str(), &reserved.data["status"]), ("2", &json!("pending")));
    orders.tell([(&*id, payment_processed(&id))]).await;
    assert_eq!(stream.next().await.unwrap().data["status"], "pending");
    let confirmed = stream.next().await.unwrap();
    assert_eq!((confirmed.event.as_str(), &confirmed.data["status"]), ("confirmed", &json!("confirmed")));
    let parcel = json!({ "tracking_number": "RB1" });
    orders.post(Who::Admin, &format!("/orders/{id}/ship"), &parcel).await.expect(200, "");
    let shipped = stream.next().await.unwrap();
    assert_eq!((shipped.event.as_str(), &shipped.data["detail"]), ("shipped", &json!("RB1")));
    orders.post(Who::Admin, &format!("/orders/{id}/deliver"), &json!({})).await.expect(200, "");
    let delivered = stream.next().await.unwrap();
    assert_eq!((delivered.event.as_str(), delivered.id.as_str()), ("delivered", "6"));
    assert!(stream.next().await.is_none(), "nothing more is expected");
    until("nobody watches", async || orders.metric("orders_watchers").await == Some(0)).await;
}

async fn any_replica_tells_what_another_one_did(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let other = orders.beside(|_| {}).await;
    let request = reqwest::Client::new().get(format!("{other}/orders/{id}/events"));
    let mut stream = Stream::open(as_caller(request, Who::Anna)).await;
    assert_eq!(stream.names(1).await, ["placed"]);
    let began = Instant::now();
    orders.cancel(Who::Anna, &id).await.expect(200, "");
    assert_eq!(stream.next().await.unwrap().data["detail"], "by_customer");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(stream.next().await.is_none());
}

async fn a_client_that_comes_back_gets_the_rest(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    orders.tell([(&*id, stock_reserved(&id))]).await;
    orders.tell([(&*id, payment_processed(&id))]).await;
    orders.handled(2).await;
    let back = |last: &str| events_of(&orders, Who::Anna, &id).header("Last-Event-ID", last);
    assert_eq!(Stream::open(back("")).await.names(2).await, ["placed", "stock_reserved"]);
    assert_eq!(Stream::open(back("0")).await.names(1).await, ["placed"]);
    assert_eq!(Stream::open(back("2")).await.names(2).await, ["payment_processed", "confirmed"]);
    let mut last = Stream::open(back("4")).await;
    orders.post(Who::Admin, &format!("/orders/{id}/ship"), &json!({})).await.expect(200, "");
    assert_eq!(last.names(1).await, ["shipped"]);
    orders.post(Who::Admin, &format!("/orders/{id}/deliver"), &json!({})).await.expect(200, "");
    let mut all = Stream::open(back("5")).await;
    assert_eq!(all.names(1).await, ["delivered"]);
    assert!(all.next().await.is_none());
    let over = send(back("6")).await;
    assert_eq!((over.status, over.text.as_str()), (StatusCode::NO_CONTENT, ""));
    for malformed in ["x", "-1", "1.5", "99999", "6 "] {
        let answer = send(back(malformed)).await;
        if malformed == "6 " {
            // White space around a header's value is not part of it.
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        } else {
            answer.expect(400, "malformed-request");
        }
    }
}

async fn a_cancelled_orders_stream_ends_when_nothing_is_owed(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    orders.tell([(&*id, payment_processed(&id))]).await;
    orders.handled(1).await;
    let mut stream = Stream::open(events_of(&orders, Who::Anna, &id)).await;
    assert_eq!(stream.names(3).await, ["placed", "payment_processed", "confirmed"]);
    orders.cancel(Who::Admin, &id).await.expect(200, "");
    assert_eq!(stream.names(1).await, ["cancelled"]);
    orders.tell([(&*id, payment_refunded(&id))]).await;
    assert_eq!(stream.names(1).await, ["payment_refunded"]);
    assert!(stream.next().await.is_none());
}

async fn a_stream_is_for_those_who_may_read_the_order(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    for who in [Who::Boris, Who::Guest] {
        send(events_of(&orders, who, &id)).await.expect(404, "not-found");
    }
    Stream::open(events_of(&orders, Who::Admin, &id)).await;
    let closed = orders.beside(|config| config.guest_checkout = false).await;
    let request = reqwest::Client::new().get(format!("{closed}/orders/{id}/events"));
    send(request).await.expect(401, "unauthorized");

    let guests = orders.post(Who::Guest, "/orders", &one_of(Who::Guest, 1)).await.expect(201, "").json();
    let (id, token) = (guests["id"].as_str().unwrap(), guests["order_token"].as_str().unwrap());
    for who in [Who::Guest, Who::Anna] {
        send(events_of(&orders, who, id)).await.expect(404, "not-found");
    }
    let other = "A".repeat(43);
    let with = |token: &str| events_of(&orders, Who::Guest, id).header("X-Order-Token", token);
    send(with(&other)).await.expect(404, "not-found");
    send(with("x")).await.expect(400, "malformed-request");
    assert_eq!(Stream::open(with(token)).await.names(1).await, ["placed"]);
    let in_query = orders.request(Method::GET, &format!("/orders/{id}/events?token={token}"));
    assert_eq!(Stream::open(in_query).await.names(1).await, ["placed"]);
    let nowhere = "00000000-0000-7000-8000-000000000000";
    send(events_of(&orders, Who::Admin, nowhere)).await.expect(404, "not-found");
}

async fn streams_end_when_the_service_stops(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let mut stream = Stream::open(events_of(&orders, Who::Anna, &id)).await;
    assert_eq!(stream.names(1).await, ["placed"]);
    let began = Instant::now();
    orders.lifecycle.stop();
    assert!(
        stream.next().await.is_none(),
        "it ends properly, so that its client connects to another replica"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

async fn an_order_has_a_bounded_number_of_streams(orders: Orders) {
    let [id, other] = [orders.placed_by(Who::Anna).await, orders.placed_by(Who::Anna).await];
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(events_of(&orders, Who::Anna, &id)).await);
    }
    let refused: Answer = send(events_of(&orders, Who::Anna, &id)).await.expect(503, "too-many-streams");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(orders.metric("orders_watchers").await, Some(20));
    let mut of_other = Stream::open(events_of(&orders, Who::Anna, &other)).await;
    assert_eq!(of_other.names(1).await, ["placed"]);
    // A quiet stream shows that it is alive, and finds out that a client has left.
    assert_eq!(of_other.block().await.unwrap(), ": heartbeat");
    streams.clear();
    until("the places are free", async || orders.metric("orders_watchers").await == Some(1)).await;
    let mut again = Stream::open(events_of(&orders, Who::Anna, &id)).await;
    assert_eq!(again.names(1).await, ["placed"]);
}
