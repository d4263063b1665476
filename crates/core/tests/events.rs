//! Every event that was ever published stays readable, and today's events match the documentation.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails; clippy knows only `#[test]` functions"
)]

use std::{fmt::Debug, fs, path::Path};

use shop_core::{
    Email, Money, OrderId, ProductId,
    events::{Event, OrderCancelled, OrderCreated, OrderedItem},
};

/// A file of `tests/golden`, without the line end.
fn golden(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs::read_to_string(file).unwrap().trim_end().to_owned()
}

fn read<E: Event>(name: &str) -> E {
    serde_json::from_str(&golden(name)).unwrap()
}

/// `event` is written as its golden file, byte for byte, and read from it.
fn is_its_golden_file<E: Event + PartialEq + Debug>(event: &E) {
    let name = format!("{}.json", E::TYPE);
    assert_eq!(serde_json::to_string(event).unwrap(), golden(&name));
    assert_eq!(read::<E>(&name), *event);
}

fn order_id() -> OrderId {
    "0198c0de-0000-7000-8000-000000000001".parse().unwrap()
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

fn buyer() -> Email {
    "buyer@example.com".parse().unwrap()
}

fn item(product: i64, quantity: u32, price: i64) -> OrderedItem {
    OrderedItem { product_id: ProductId(product), quantity, price: money(price), name: String::new() }
}

fn order_created(items: Vec<OrderedItem>) -> OrderCreated {
    OrderCreated { order_id: order_id(), customer_email: buyer(), total_amount: money(250_000), items }
}

#[test]
fn every_event_is_written_and_read_as_its_golden_file() {
    is_its_golden_file(&order_created(vec![item(1, 2, 50_000), item(2, 1, 150_000)]));
    is_its_golden_file(&OrderCancelled {
        order_id: order_id(),
        customer_email: buyer(),
        total_amount: money(250_000),
        reason: "cancelled by the customer".to_owned(),
    });
}

/// The first publisher wrote only the id, the address and the total, with one decimal.
#[test]
fn the_first_form_of_order_created_is_read() {
    assert_eq!(read::<OrderCreated>("order_created.first.json"), order_created(Vec::new()));
}

#[test]
fn fields_that_a_later_version_adds_are_ignored() {
    assert_eq!(read::<OrderCreated>("order_created.later.json"), order_created(vec![item(1, 2, 50_000)]));
}

#[test]
fn an_address_that_was_accepted_under_an_older_rule_is_read() {
    // Its domain looks like Punycode but is not.
    let old = "buyer@xn--a.com";
    assert!(old.parse::<Email>().is_err(), "choose an address that today's rule refuses");
    let event: OrderCreated =
        serde_json::from_str(&golden("order_created.json").replace("buyer@example.com", old)).unwrap();
    assert_eq!(event.customer_email.as_str(), old);
}

#[test]
fn a_payload_without_an_order_is_refused() {
    let error = serde_json::from_str::<OrderCreated>(r#"{"total_amount":1}"#).unwrap_err();
    assert!(error.to_string().contains("order_id"), "{error}");
}
