//! The events of an aggregate take effect in their order, with several replicas and through failures.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use shop_messaging::{Failure, Message};

use super::kit::{Keep, Replica, dead, effects, event, prepare, send, subscription, until_effects};
use crate::support::Fixture;

on_both!(two_replicas_keep_the_order_of_an_aggregate, an_event_that_fails_for_a_while_is_not_overtaken,);

const AGGREGATES: i64 = 12;
const VERSIONS: i64 = 10;

/// Version after version, the aggregates mixed.
fn history() -> Vec<Message> {
    let versions =
        (1..=VERSIONS).flat_map(|version| (0..AGGREGATES).map(move |aggregate| (aggregate, version)));
    versions.map(|(aggregate, version)| event(&format!("aggregate-{aggregate}"), version)).collect()
}

/// Every version of every aggregate once, and in order.
async fn is_whole_and_in_order(fixture: &Fixture) {
    let mut seen: HashMap<String, Vec<i64>> = HashMap::new();
    for (aggregate, version) in effects(&fixture.database).await {
        seen.entry(aggregate).or_default().push(version);
    }
    assert_eq!(seen.len() as i64, AGGREGATES);
    for (aggregate, versions) in seen {
        assert_eq!(versions, (1..=VERSIONS).collect::<Vec<_>>(), "{aggregate}");
    }
}

/// Fails every third call, and takes its time, so that others would overtake if they could.
fn unsteady() -> Keep {
    let calls = Arc::new(AtomicU32::new(0));
    Keep::after(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(u64::from(call % 7))).await;
            if call.is_multiple_of(3) { Err(Failure::retry("unsteady")) } else { Ok(()) }
        }
    })
}

async fn two_replicas_keep_the_order_of_an_aggregate(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let handler = unsteady();
    let mut replicas = vec![Replica::start(&fixture, handler.clone()).await];
    replicas.push(Replica::start(&fixture, handler.clone()).await);
    send(&fixture, &history()).await;
    let all = (AGGREGATES * VERSIONS) as usize;
    // A crash, a planned end, and a crash; another takes over each time.
    for (part, crash) in [(1, true), (2, false), (3, true)] {
        until_effects(&fixture, all * part / 4).await;
        let active = replicas.remove(0);
        if crash {
            active.crash().await;
        } else {
            active.stop().await;
        }
        replicas.push(Replica::start(&fixture, handler.clone()).await);
    }
    until_effects(&fixture, all).await;
    for replica in replicas {
        replica.stop().await;
    }
    assert!(dead(&fixture).await.is_empty());
    is_whole_and_in_order(&fixture).await;
}

async fn an_event_that_fails_for_a_while_is_not_overtaken(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let fails_at_first = |event: shop_outbox::consumer::Received<super::kit::Changed>| async move {
        let is_first = event.payload.aggregate == "a" && event.payload.version == 1;
        if is_first && event.attempt < 3 { Err(Failure::retry("not yet")) } else { Ok(()) }
    };
    let replica = Replica::start(&fixture, Keep::after(fails_at_first)).await;
    let versions: Vec<_> = (1..=3).map(|version| event("a", version)).chain([event("b", 1)]).collect();
    send(&fixture, &versions).await;
    until_effects(&fixture, 4).await;
    replica.stop().await;
    let kept = effects(&fixture.database).await;
    assert_eq!(kept[0], ("b".to_owned(), 1), "another aggregate does not wait");
    let of_a: Vec<_> =
        kept.iter().filter(|(aggregate, _)| aggregate == "a").map(|(_, version)| *version).collect();
    assert_eq!(of_a, [1, 2, 3]);
}
