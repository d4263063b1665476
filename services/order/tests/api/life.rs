//! What other services' events do to orders.

use serde_json::{Value, json};
use shop_core::events::PaymentFailure;
use shop_messaging::Message;

use crate::{
    harness::{Orders, Who, message, on_both_backends},
    news::{payment_failed, payment_processed, payment_refunded, stock_rejected, stock_reserved},
};

on_both_backends!(
    a_reserved_and_paid_order_is_confirmed_and_announced,
    what_cannot_be_had_or_paid_is_cancelled_with_its_reason,
    every_event_in_every_status_does_what_the_table_says,
    events_that_come_twice_and_in_any_order_end_the_same,
    a_cancellation_and_a_payment_at_once_have_one_outcome,
    events_of_unknown_orders_change_nothing,
);

const STATUSES: [&str; 5] = ["pending", "confirmed", "shipped", "delivered", "cancelled"];

/// All events that the service consumes, about order `id`.
fn everything(id: &str) -> [Message; 6] {
    [
        message(id, &stock_reserved(id)),
        message(id, &stock_rejected(id)),
        message(id, &payment_processed(id)),
        message(id, &payment_failed(id, PaymentFailure::Declined)),
        message(id, &payment_failed(id, PaymentFailure::Unavailable)),
        message(id, &payment_refunded(id)),
    ]
}

/// The status, version and rest of an order's own events.
async fn announced(orders: &Orders, id: &str) -> Vec<(String, i64, Value)> {
    let events = orders.events().await.into_iter();
    let own = events.filter(|(_, _, aggregate, ..)| aggregate == id);
    own.map(|(kind, _, _, version, payload)| (kind, version, payload)).collect()
}

async fn a_reserved_and_paid_order_is_confirmed_and_announced(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    orders.tell([(&*id, stock_reserved(&id))]).await;
    orders.handled(1).await;
    assert_eq!(orders.shown(&id).await["status"], "pending");
    orders.clock.advance(chrono::TimeDelta::seconds(2));
    orders.tell([(&*id, payment_processed(&id))]).await;
    orders.handled(2).await;
    let shown = orders.shown(&id).await;
    assert_eq!(shown["status"], "confirmed");
    assert_eq!(
        shown["timeline"],
        json!([
            { "seq": 1, "at": "2027-01-15T08:00:01Z", "event": "placed" },
            { "seq": 2, "at": "2027-01-15T08:00:01Z", "event": "stock_reserved" },
            { "seq": 3, "at": "2027-01-15T08:00:03Z", "event": "payment_processed" },
            { "seq": 4, "at": "2027-01-15T08:00:03Z", "event": "confirmed" },
        ])
    );
    assert_eq!(shown.get("cancellation"), None);
    let payload = json!({
        "order_id": id, "customer_email": Who::Anna.email(), "total_amount": 500.0, "currency": "RUB",
    });
    assert_eq!(announced(&orders, &id).await[1..], [("order_confirmed".to_owned(), 2, payload)]);
    assert_eq!(orders.metric("orders_confirmed_total").await, Some(1));
    assert_eq!(orders.metric("orders_settle_seconds_count").await, Some(1));
    assert_eq!(orders.metric("orders_settle_seconds_bucket{le=\"2.5\"}").await, Some(1));
    assert_eq!(orders.metric("orders_settle_seconds_bucket{le=\"1.0\"}").await, Some(0));
    let listed = orders.get(Who::Anna, "/orders").await.expect(200, "").json();
    assert_eq!((&listed[0]["status"], listed[0].get("timeline")), (&json!("confirmed"), None));
}

async fn what_cannot_be_had_or_paid_is_cancelled_with_its_reason(orders: Orders) {
    let mut ids = Vec::new();
    for number in 0..3 {
        let id = orders.placed_by(Who::Anna).await;
        let message = match number {
            0 => message(&id, &stock_rejected(&id)),
            1 => message(&id, &payment_failed(&id, PaymentFailure::Declined)),
            _ => message(&id, &payment_failed(&id, PaymentFailure::Unavailable)),
        };
        orders.publish(&[message]).await;
        ids.push(id);
    }
    orders.handled(3).await;
    let reasons = [
        ("out_of_stock", "only 0 of product 1 left"),
        ("payment_declined", "the bank said no"),
        ("payment_unavailable", "the bank said no"),
    ];
    for (id, (code, reason)) in ids.iter().zip(reasons) {
        let shown = orders.shown(id).await;
        assert_eq!(shown["status"], "cancelled");
        assert_eq!(shown["cancellation"], json!({ "code": code, "reason": reason }));
        let [_, (kind, version, event)] = &announced(&orders, id).await[..] else { panic!("{code}") };
        assert_eq!((kind.as_str(), version), ("order_cancelled", &2));
        assert_eq!((&event["code"], &event["reason"]), (&json!(code), &json!(reason)));
        let counted = orders.metric(&format!("orders_cancelled_total{{code=\"{code}\"}}")).await;
        assert_eq!(counted, Some(1), "{code}");
    }
}

/// What is in the timeline of an order in each status of [`STATUSES`].
const BEFORE: [&[&str]; 5] = [
    &[],
    &["stock_reserved", "payment_processed", "confirmed"],
    &["stock_reserved", "payment_processed", "confirmed", "shipped"],
    &["stock_reserved", "payment_processed", "confirmed", "shipped", "delivered"],
    &["cancelled"],
];

/// What each event of [`everything`] adds to the timeline in each status of [`STATUSES`], and the status that follows.
const TABLE: [[(&[&str], &str); 6]; 5] = [
    [
        (&["stock_reserved"], "pending"),
        (&["cancelled"], "cancelled"),
        (&["payment_processed", "confirmed"], "confirmed"),
        (&["cancelled"], "cancelled"),
        (&["cancelled"], "cancelled"),
        (&["payment_refunded"], "pending"),
    ],
    [
        (&[], "confirmed"),
        (&["cancelled"], "cancelled"),
        (&[], "confirmed"),
        (&[], "confirmed"),
        (&[], "confirmed"),
        (&["payment_refunded"], "confirmed"),
    ],
    [
        (&[], "shipped"),
        (&[], "shipped"),
        (&[], "shipped"),
        (&[], "shipped"),
        (&[], "shipped"),
        (&["payment_refunded"], "shipped"),
    ],
    [
        (&[], "delivered"),
        (&[], "delivered"),
        (&[], "delivered"),
        (&[], "delivered"),
        (&[], "delivered"),
        (&["payment_refunded"], "delivered"),
    ],
    [
        (&[], "cancelled"),
        (&[], "cancelled"),
        (&["payment_processed"], "cancelled"),
        (&[], "cancelled"),
        (&[], "cancelled"),
        (&["payment_refunded"], "cancelled"),
    ],
];

async fn every_event_in_every_status_does_what_the_table_says(orders: Orders) {
    // One order for each cell.
    let mut ids: Vec<[String; 6]> = Vec::new();
    for _ in STATUSES {
        let mut row = Vec::new();
        for _ in 0..6 {
            row.push(orders.placed_by(Who::Anna).await);
        }
        ids.push(row.try_into().unwrap());
    }
    for id in ids[1..4].iter().flatten() {
        orders.tell([(&**id, stock_reserved(id))]).await;
        orders.tell([(&**id, payment_processed(id))]).await;
    }
    orders.handled(36).await;
    for id in ids[2..4].iter().flatten() {
        orders.post(Who::Admin, &format!("/orders/{id}/ship"), &json!({})).await.expect(200, "");
    }
    for id in &ids[3] {
        orders.post(Who::Admin, &format!("/orders/{id}/deliver"), &json!({})).await.expect(200, "");
    }
    for id in &ids[4] {
        orders.cancel(Who::Anna, id).await.expect(200, "");
    }
    let events_before = orders.events().await.len();
    let messages: Vec<_> =
        ids.iter().flat_map(|row| (0..6).map(|column| everything(&row[column])[column].clone())).collect();
    orders.publish(&messages).await;
    orders.handled(36 + 30).await;
    let mut moves = 0;
    for (row, status) in STATUSES.into_iter().enumerate() {
        for column in 0..6 {
            let (id, kind) = (&ids[row][column], &messages[row * 6 + column].kind);
            let (added, after) = TABLE[row][column];
            assert_eq!(orders.shown(id).await["status"], after, "{status}, {kind}");
            let expected = [BEFORE[row], added].concat();
            assert_eq!(orders.timeline(id).await, expected, "{status}, {kind}");
            moves += usize::from(after != status);
        }
    }
    assert_eq!(orders.events().await.len(), events_before + moves, "each move is announced once");
    assert_eq!(orders.count("inbox_messages").await, 66);
    let impossible =
        |event: &str| format!("orders_ignored_events_total{{event_type=\"{event}\",reason=\"impossible\"}}");
    assert_eq!(orders.metric(&impossible("payment_failed")).await, Some(6));
    assert_eq!(orders.metric(&impossible("stock_rejected")).await, Some(2));
}

async fn events_that_come_twice_and_in_any_order_end_the_same(orders: Orders) {
    // Two publishers, of which each keeps its own order at best; and every message may come again, as it was or published anew.
    let reserved_and_paid =
        |id: &str| [message(id, &stock_reserved(id)), message(id, &payment_processed(id))];
    let mut confirmed = Vec::new();
    let mut messages = Vec::new();
    for number in 0..6 {
        let id = orders.placed_by(Who::Anna).await;
        let ([reserved, paid], anew) = (reserved_and_paid(&id), reserved_and_paid(&id));
        let mut these = vec![reserved.clone(), paid.clone(), paid, reserved];
        these.extend(anew);
        these.rotate_left(number);
        messages.extend(these);
        confirmed.push(id);
    }
    // Cancelled while it is paid, and refunded.
    let late = orders.placed_by(Who::Boris).await;
    orders.cancel(Who::Boris, &late).await.expect(200, "");
    let [reserved, paid] = reserved_and_paid(&late);
    let refunded = message(&late, &payment_refunded(&late));
    messages.extend([reserved, paid.clone(), refunded.clone(), paid, refunded]);
    orders.publish(&messages).await;
    orders.handled(messages.len() as u64).await;
    for id in confirmed {
        let mut timeline = orders.timeline(&id).await;
        timeline.sort_unstable();
        assert_eq!(timeline, ["confirmed", "payment_processed", "stock_reserved"]);
        let own = announced(&orders, &id).await;
        let told: Vec<_> = own.iter().map(|(kind, version, _)| (kind.as_str(), *version)).collect();
        assert_eq!(told, [("order_created", 1), ("order_confirmed", 2)]);
    }
    assert_eq!(orders.timeline(&late).await, ["cancelled", "payment_processed", "payment_refunded"]);
    let own = announced(&orders, &late).await;
    assert_eq!((own.len(), own[1].0.as_str()), (2, "order_cancelled"));
}

async fn a_cancellation_and_a_payment_at_once_have_one_outcome(orders: Orders) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(orders.placed_by(Who::Anna).await);
    }
    let paid: Vec<_> = ids.iter().map(|id| message(id, &payment_processed(id))).collect();
    let cancelled = async {
        for id in &ids {
            orders.cancel(Who::Anna, id).await.expect(200, "");
        }
    };
    tokio::join!(orders.publish(&paid), cancelled);
    orders.handled(20).await;
    for id in ids {
        let own = announced(&orders, &id).await;
        let told: Vec<_> = own.iter().map(|(kind, version, _)| (kind.as_str(), *version)).collect();
        // Whoever came second saw what the first had done.
        let expected = match orders.timeline(&id).await.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["payment_processed", "confirmed", "cancelled"] => {
                vec![("order_created", 1), ("order_confirmed", 2), ("order_cancelled", 3)]
            }
            ["cancelled", "payment_processed"] => vec![("order_created", 1), ("order_cancelled", 2)],
            ref other => panic!("{other:?}"),
        };
        assert_eq!(told, expected);
        assert_eq!(orders.shown(&id).await["status"], "cancelled");
    }
}

async fn events_of_unknown_orders_change_nothing(orders: Orders) {
    let nobodys = "00000000-0000-7000-8000-000000000000";
    orders.publish(&everything(nobodys)).await;
    orders.handled(6).await;
    for table in ["orders", "order_timeline", "outbox_messages"] {
        assert_eq!(orders.count(table).await, 0, "{table}");
    }
    let ignored = "orders_ignored_events_total{event_type=\"payment_failed\",reason=\"unknown_order\"}";
    assert_eq!(orders.metric(ignored).await, Some(2));
    let ready = orders.get(Who::Guest, "/readyz").await.expect(200, "").json();
    assert_eq!(ready["dependencies"]["consumer"], "ok");
}
