//! Orders that nobody settles.

use chrono::TimeDelta;
use http::Method;
use serde_json::json;

use crate::{
    harness::{Orders, Who, message, on_both_databases, send, until},
    news::payment_processed,
};

on_both_databases!(
    overdue_orders_are_cancelled_once_by_two_replicas,
    an_order_that_is_settled_meanwhile_is_not_cancelled_too,
    the_age_of_the_oldest_pending_order_is_told,
);

async fn overdue_orders_are_cancelled_once_by_two_replicas(orders: Orders) {
    let mut ids = Vec::new();
    for _ in 0..70 {
        ids.push(orders.placed_by(Who::Anna).await);
    }
    orders.clock.advance(TimeDelta::seconds(60));
    let young = orders.placed_by(Who::Anna).await;
    let mut replicas = Vec::new();
    for _ in 0..2 {
        replicas.push(orders.beside(|config| config.pending_timeout_seconds = 1).await);
    }
    let pending = async || orders.count("orders WHERE status = 'pending'").await;
    until("all overdue orders are cancelled", async || pending().await == 1).await;
    for id in &ids {
        let shown = orders.shown(id).await;
        assert_eq!(shown["cancellation"]["code"], "timed_out");
        assert_eq!(orders.timeline(id).await, ["cancelled"]);
    }
    assert_eq!(orders.shown(&young).await["status"], "pending");
    let events = orders.events().await;
    let cancelled: Vec<_> = events.iter().filter(|(kind, ..)| kind == "order_cancelled").collect();
    assert_eq!(cancelled.len(), 70);
    assert!(cancelled.iter().all(|(.., version, event)| *version == 2 && event["code"] == "timed_out"));
    let mut counted = 0;
    for replica in replicas {
        let metrics = send(reqwest::Client::new().get(format!("{replica}/metrics"))).await.text;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("orders_cancelled_total{code=\"timed_out\"} "));
        counted += line.map_or(0, |count| count.parse::<u64>().unwrap());
    }
    assert_eq!(counted, 70);
}

async fn an_order_that_is_settled_meanwhile_is_not_cancelled_too(orders: Orders) {
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(orders.placed_by(Who::Anna).await);
    }
    orders.clock.advance(TimeDelta::seconds(60));
    orders.beside(|config| config.pending_timeout_seconds = 1).await;
    // As it is about to look for them.
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    let paid: Vec<_> = ids.iter().map(|id| message(id, &payment_processed(id))).collect();
    for some in paid.chunks(6) {
        orders.publish(some).await;
    }
    until("no order is pending", async || orders.count("orders WHERE status = 'pending'").await == 0).await;
    until("all payments are known", async || orders.count("inbox_messages").await == 60).await;
    for id in &ids {
        let timeline = orders.timeline(id).await;
        let is_one =
            timeline == ["payment_processed", "confirmed"] || timeline == ["cancelled", "payment_processed"];
        assert!(is_one, "{timeline:?}");
    }
    assert_eq!(orders.events().await.len(), 120, "each was placed, and confirmed or cancelled");
}

async fn the_age_of_the_oldest_pending_order_is_told(orders: Orders) {
    orders.placed_by(Who::Anna).await;
    orders.clock.advance(TimeDelta::seconds(3));
    let beside = orders.beside(|config| config.pending_timeout_seconds = 4).await;
    let age = async || {
        let metrics = send(reqwest::Client::new().get(format!("{beside}/metrics"))).await.text;
        let line = metrics.lines().find_map(|line| line.strip_prefix("orders_pending_oldest_age_seconds "));
        line.unwrap().parse::<f64>().unwrap()
    };
    until("it is told", async || age().await == 3.0).await;
    orders.clock.advance(TimeDelta::seconds(2));
    until("it is cancelled", async || age().await == 0.0).await;
    assert_eq!(orders.count("orders WHERE status = 'cancelled'").await, 1);
    let list = send(orders.request(Method::GET, "/orders").bearer_auth(Who::Anna.token().unwrap())).await;
    assert_eq!(list.json()[0]["status"], json!("cancelled"));
}
