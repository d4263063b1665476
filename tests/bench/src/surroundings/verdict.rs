//! Checks the promises against the final state.

use std::collections::{HashMap, HashSet};

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    orders::Placed,
    place::{EXCHANGE, PATIENCE, Place},
};
use crate::{controller::until, outbox::broker::Broker};

/// How many are named one by one, before they are only counted.
const NAMED: usize = 5;

pub(crate) struct Verdict {
    /// The number of committed events.
    pub(crate) events: usize,
    /// How many of them arrived more than once: a crash may repeat what was in flight.
    pub(crate) redelivered: usize,
    /// Empty if all promises were kept.
    pub(crate) violations: Vec<String>,
}

/// An event in the outbox.
#[derive(Clone, Debug)]
struct Event {
    message_id: Uuid,
    order: Uuid,
    event_type: String,
    status: String,
}

/// The final state.
struct Found {
    orders: HashSet<Uuid>,
    events: Vec<Event>,
    /// In the queue, each as often as it arrived.
    arrived: Vec<Uuid>,
    /// The requests to a proxy.
    asked: Vec<String>,
}

/// Reads the final state, and checks it against the customers' responses.
pub(crate) async fn reach(place: &mut Place, placed: &Placed) -> anyhow::Result<Verdict> {
    let mut connection = place.pair.connect().await?;
    until("the rest is published", PATIENCE, async || pending(&mut connection).await == Some(0)).await?;
    let orders = sqlx::query_scalar("SELECT id FROM orders.orders").fetch_all(&mut connection).await?;
    let events =
        "SELECT message_id, aggregate_id::uuid AS order, event_type, status FROM orders.outbox_messages";
    let events: Vec<(Uuid, Uuid, String, String)> = sqlx::query_as(events).fetch_all(&mut connection).await?;
    let event = |(message_id, order, event_type, status)| Event { message_id, order, event_type, status };
    let events: Vec<Event> = events.into_iter().map(event).collect();
    connection.close().await?;
    let arrived = arrived(place.rabbitmq(), &events).await?;
    let found = Found {
        orders: HashSet::from_iter::<Vec<Uuid>>(orders),
        events,
        arrived,
        asked: place.proxies.asked(),
    };
    Ok(judge(placed, &found))
}

async fn pending(connection: &mut PgConnection) -> Option<i64> {
    let pending = "SELECT count(*) FROM orders.outbox_messages WHERE status = 'pending'";
    sqlx::query_scalar(pending).fetch_one(connection).await.ok()
}

/// Empties the queue.
async fn arrived(rabbitmq: &str, events: &[Event]) -> anyhow::Result<Vec<Uuid>> {
    let broker = Broker::open(rabbitmq, EXCHANGE).await?;
    let mut arrivals = broker.arrivals().await?;
    let (mut arrived, mut distinct) = (Vec::new(), HashSet::new());
    let all = until("the queue is empty", PATIENCE, async || {
        let more: Vec<Uuid> = arrivals.so_far().into_iter().map(|(id, _)| id).collect();
        let is_empty = more.is_empty() && distinct.len() >= events.len();
        distinct.extend(more.iter().copied());
        arrived.extend(more);
        is_empty
    });
    // The verdict reports what is missing.
    let _ = all.await;
    Ok(arrived)
}

/// No I/O.
fn judge(placed: &Placed, found: &Found) -> Verdict {
    let mut violations = placed.contradictions.clone();
    let mut tell = |what: &str, which: Vec<String>| {
        if !which.is_empty() {
            let some: Vec<&str> = which.iter().take(NAMED).map(String::as_str).collect();
            violations.push(format!("{} {what}: {}", which.len(), some.join(", ")));
        }
    };
    let told: HashSet<Uuid> = placed.acknowledged.values().copied().collect();
    let text = |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect::<Vec<_>>();
    tell(
        "orders were answered with 201 and have no row",
        text(told.difference(&found.orders).copied().collect()),
    );
    // Each key was retried until it was answered, so there is no other order.
    tell(
        "orders are there beside the one of their key",
        text(found.orders.difference(&told).copied().collect()),
    );
    if told.len() < placed.acknowledged.len() {
        tell(
            "keys were answered with the order of another",
            vec![(placed.acknowledged.len() - told.len()).to_string()],
        );
    }

    let mut created: HashMap<Uuid, usize> = HashMap::new();
    for event in found.events.iter().filter(|event| event.event_type == "order_created") {
        *created.entry(event.order).or_default() += 1;
    }
    let silent = found.orders.iter().filter(|order| !created.contains_key(order)).copied().collect();
    tell("orders have no event", text(silent));
    let loud = created.iter().filter(|(_, times)| **times > 1).map(|(order, _)| *order).collect();
    tell("orders have two events of their creation", text(loud));
    let unsent = found.events.iter().filter(|event| event.status != "sent");
    tell(
        "events are not sent",
        unsent.map(|event| format!("{} is {}", event.message_id, event.status)).collect(),
    );

    let committed: HashSet<Uuid> = found.events.iter().map(|event| event.message_id).collect();
    let distinct: HashSet<Uuid> = found.arrived.iter().copied().collect();
    tell("events are not in RabbitMQ", text(committed.difference(&distinct).copied().collect()));
    tell(
        "messages are in RabbitMQ that nobody has committed",
        text(distinct.difference(&committed).copied().collect()),
    );
    tell("requests went to a proxy", found.asked.clone());
    Verdict { events: committed.len(), redelivered: found.arrived.len() - distinct.len(), violations }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(order: Uuid) -> Event {
        Event {
            message_id: Uuid::new_v4(),
            order,
            event_type: "order_created".to_owned(),
            status: "sent".to_owned(),
        }
    }

    /// Three orders as they should be.
    fn fine() -> (Placed, Found) {
        let orders: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
        let events: Vec<Event> = orders.iter().copied().map(event).collect();
        let mut placed = Placed::default();
        placed.acknowledged.extend(orders.iter().map(|order| (Uuid::new_v4(), *order)));
        let arrived = events.iter().map(|event| event.message_id).collect();
        (placed, Found { orders: orders.into_iter().collect(), events, arrived, asked: Vec::new() })
    }

    #[test]
    fn what_is_as_promised_is_told_so_and_a_repeated_delivery_is_none_of_it() {
        let (placed, mut found) = fine();
        found.arrived.push(found.arrived[0]);
        let verdict = judge(&placed, &found);
        assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
        assert_eq!((verdict.events, verdict.redelivered), (3, 1));
    }

    #[test]
    fn each_broken_promise_is_told() {
        let broken = |break_it: fn(&mut Placed, &mut Found), words: &str| {
            let (mut placed, mut found) = fine();
            break_it(&mut placed, &mut found);
            let violations = judge(&placed, &found).violations;
            assert!(violations.iter().any(|violation| violation.contains(words)), "{words}: {violations:?}");
        };
        broken(|placed, _| placed.acknowledged.extend([(Uuid::nil(), Uuid::nil())]), "have no row");
        broken(|_, found| found.orders.extend([Uuid::nil()]), "beside the one of their key");
        broken(|_, found| found.events.truncate(2), "have no event");
        broken(|_, found| found.events.push(event(found.events[0].order)), "two events");
        broken(|_, found| found.events[0].status = "dead".to_owned(), "not sent");
        broken(|_, found| found.arrived.truncate(2), "not in RabbitMQ");
        broken(|_, found| found.arrived.push(Uuid::nil()), "nobody has committed");
        broken(|_, found| found.asked.push("CONNECT auth:8001".to_owned()), "went to a proxy");
        broken(
            |placed, _| {
                let order = *placed.acknowledged.values().next().unwrap();
                placed.acknowledged.insert(Uuid::nil(), order);
            },
            "order of another",
        );
    }
}
