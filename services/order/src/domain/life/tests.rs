use shop_core::{Currency, Money, OrderId, ProductId};

use super::*;
use crate::domain::{Customer, Item, Quote};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn pending() -> Life {
    let customer = Customer { account: None, email: "buyer@example.com".parse().unwrap() };
    let price = Money::from_minor(50_000).unwrap();
    let item = Item { product_id: ProductId(1), name: "Lamp".to_owned(), quantity: 1, price };
    let quote = Quote { items: vec![item], total: price, currency: Currency::RUB };
    let order = Order::place(OrderId(uuid::Uuid::nil()), customer, quote, NOW);
    Life { order, timeline: Timeline::new(NOW, []) }
}

/// An order that has come to `status` by the usual way.
fn in_status(status: OrderStatus) -> Life {
    let mut life = pending();
    if matches!(status, OrderStatus::Confirmed | OrderStatus::Shipped | OrderStatus::Delivered) {
        life.happened(Happening::StockReserved, NOW);
        life.happened(Happening::PaymentProcessed, NOW);
    }
    match status {
        OrderStatus::Pending | OrderStatus::Confirmed => {}
        OrderStatus::Cancelled => drop(life.cancel(Cancellation::timed_out(), NOW)),
        OrderStatus::Shipped => drop(life.ship(None, NOW)),
        OrderStatus::Delivered => {
            life.ship(None, NOW).unwrap();
            life.deliver(NOW).unwrap();
        }
    }
    assert_eq!(life.order.status, status);
    life
}

fn happenings() -> [Happening; 6] {
    let failed = |code| Happening::PaymentFailed { code, reason: "no money".to_owned() };
    [
        Happening::StockReserved,
        Happening::StockRejected { reason: "none left".to_owned() },
        Happening::PaymentProcessed,
        failed(PaymentFailure::Declined),
        failed(PaymentFailure::Unavailable),
        Happening::PaymentRefunded,
    ]
}

/// What follows, in short.
fn told(consequence: &Consequence) -> String {
    match consequence {
        Consequence::Known => "known".to_owned(),
        Consequence::Impossible => "impossible".to_owned(),
        Consequence::Changed(change) => {
            let entries: Vec<_> = change.entries.iter().map(|entry| entry.event.as_str()).collect();
            let code = match &change.announcement {
                Some(Announcement::Cancelled(event)) => format!(" ({})", event.code.as_str()),
                _ => String::new(),
            };
            entries.join(", ") + &code
        }
    }
}

#[test]
fn every_happening_has_its_consequence_in_every_status() {
    use OrderStatus::{Cancelled, Confirmed, Delivered, Pending, Shipped};
    // In the order of `happenings`.
    let table: [(OrderStatus, [&str; 6]); 5] = [
        (
            Pending,
            [
                "stock_reserved",
                "cancelled (out_of_stock)",
                "payment_processed, confirmed",
                "cancelled (payment_declined)",
                "cancelled (payment_unavailable)",
                "payment_refunded",
            ],
        ),
        (
            Confirmed,
            ["known", "cancelled (out_of_stock)", "known", "impossible", "impossible", "payment_refunded"],
        ),
        (Shipped, ["impossible", "impossible", "known", "impossible", "impossible", "payment_refunded"]),
        (Delivered, ["impossible", "impossible", "known", "impossible", "impossible", "payment_refunded"]),
        (Cancelled, ["impossible", "known", "payment_processed", "known", "known", "payment_refunded"]),
    ];
    for (status, consequences) in table {
        for (what, expected) in happenings().into_iter().zip(consequences) {
            let before = in_status(status);
            let mut life = before.clone();
            let consequence = life.happened(what.clone(), NOW);
            assert_eq!(told(&consequence), expected, "{status} {what:?}");
            let Consequence::Changed(change) = consequence else {
                assert_eq!(life, before, "{status} {what:?}");
                continue;
            };
            // A new status has an event and a version of its own; nothing else has.
            let is_new = life.order.status != before.order.status;
            assert_eq!(change.announcement.is_some(), is_new, "{status} {what:?}");
            assert_eq!(life.order.version, before.order.version + i64::from(is_new));
            assert!(!is_new || before.order.status.may_become(life.order.status));
            let added = &life.timeline.entries()[before.timeline.entries().len()..];
            assert_eq!(added, change.entries);
        }
    }
}

#[test]
fn what_happens_twice_happens_once() {
    for status in OrderStatus::ALL {
        for what in happenings() {
            let mut life = in_status(status);
            life.happened(what.clone(), NOW);
            let before = life.clone();
            let again = life.happened(what.clone(), NOW);
            assert!(!matches!(again, Consequence::Changed(_)), "{status} {what:?}");
            assert_eq!(life, before, "{status} {what:?}");
        }
    }
}

#[test]
fn positions_are_counted_on_from_what_there_is() {
    let mut life = in_status(OrderStatus::Confirmed);
    life.cancel(Cancellation::by_shop(), NOW).unwrap();
    life.happened(Happening::PaymentRefunded, NOW);
    let positions: Vec<_> = life.timeline.entries().iter().map(|entry| entry.seq).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
    assert!(life.timeline.is_over());
}

#[test]
fn an_order_is_cancelled_once_and_until_it_is_shipped() {
    for status in [OrderStatus::Pending, OrderStatus::Confirmed] {
        let mut life = in_status(status);
        let version = life.order.version;
        let change = life.cancel(Cancellation::by_customer(), NOW).unwrap().unwrap();
        let Some(Announcement::Cancelled(event)) = change.announcement else { panic!("{change:?}") };
        assert_eq!(
            (event.code, event.reason.as_str()),
            (CancellationCode::ByCustomer, "cancelled by the customer")
        );
        assert_eq!(life.order.version, version + 1);
        assert_eq!(life.cancel(Cancellation::by_shop(), NOW), Ok(None));
        assert_eq!(life.order.cancellation, Some(Cancellation::by_customer()));
    }
    for status in [OrderStatus::Shipped, OrderStatus::Delivered] {
        let mut life = in_status(status);
        assert_eq!(life.cancel(Cancellation::by_shop(), NOW), Err(NotCancellable(status)));
        assert_eq!(life, in_status(status));
    }
}

#[test]
fn only_a_confirmed_order_is_shipped_and_only_a_shipped_one_is_delivered() {
    let number = || Some("RB1".to_owned());
    for status in OrderStatus::ALL {
        let (mut shipped, mut delivered) = (in_status(status), in_status(status));
        let told = (shipped.ship(number(), NOW).is_ok(), delivered.deliver(NOW).is_ok());
        let expected = match status {
            OrderStatus::Confirmed => (true, false),
            // Without a tracking number the first time, so another one is refused.
            OrderStatus::Shipped | OrderStatus::Delivered => (false, true),
            OrderStatus::Pending | OrderStatus::Cancelled => (false, false),
        };
        assert_eq!(told, expected, "{status}");
    }
    let mut life = in_status(OrderStatus::Confirmed);
    let change = life.ship(number(), NOW).unwrap().unwrap();
    assert_eq!(change.entries[0].detail, number());
    for again in [None, number()] {
        assert_eq!(life.ship(again, NOW), Ok(None));
    }
    assert_eq!(life.ship(Some("RB2".to_owned()), NOW), Err(NotShippable(OrderStatus::Shipped)));
    assert_eq!(life.order.tracking_number, number());
    assert!(life.deliver(NOW).unwrap().is_some());
    assert_eq!(life.deliver(NOW), Ok(None));
}
