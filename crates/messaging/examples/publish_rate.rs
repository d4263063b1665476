//! How many messages a second RabbitMQ confirms, by window:
//! `cargo run --release -p shop-messaging --example publish_rate -- amqp://guest:guest@127.0.0.1:5672//`
//!
//! Messages of 1 KiB, persistent, into one quorum queue, which is named `publish_rate` and stays.

use std::{collections::BTreeMap, error::Error, time::Duration};

use chrono::DateTime;
use shop_messaging::{Broker, Message, PublisherOptions, Subscription, Verdict};
use tokio::time::Instant;
use uuid::Uuid;

const RUN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("the broker's URL is missing")?;
    let broker = Broker::open(&url, None)?;
    let queue = Subscription::new("publish_rate", "publish_rate", ["#"]);
    broker.declare(&queue).await?;
    let mut publisher = broker.publisher(PublisherOptions::new("publish_rate", "publish_rate"));
    for size in [1, 10, 100, 200, 500, 1000] {
        let window: Vec<Message> = (0..size).map(|_| message()).collect();
        let started = Instant::now();
        let mut confirmed = 0;
        while started.elapsed() < RUN {
            let verdicts = publisher.publish(&window, Duration::from_secs(10)).await?;
            confirmed += verdicts.iter().filter(|verdict| **verdict == Verdict::Confirmed).count();
        }
        let rate = confirmed as f64 / started.elapsed().as_secs_f64();
        println!("window {size:>5}: {rate:>8.0} a second");
    }
    Ok(())
}

fn message() -> Message {
    Message {
        id: Uuid::new_v4(),
        kind: "order_created".to_owned(),
        routing_key: "order.created".to_owned(),
        app_id: "publish_rate".to_owned(),
        timestamp: DateTime::UNIX_EPOCH,
        headers: BTreeMap::from([("aggregate_id".to_owned(), "42".into())]),
        payload: vec![b' '; 1024].into(),
    }
}
