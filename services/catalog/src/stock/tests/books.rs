//! The books after anything that can happen, in any order.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shop_core::{OrderId, ProductId};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::room::{LASTS, Room, on_both_databases};
use crate::stock::desk::Undone;

on_both_databases!(
    every_event_moves_the_pieces_that_it_should_in_every_state,
    the_list_is_invalidated_only_when_a_product_is_sold_out_or_back,
    a_deleted_products_reservations_are_sold_or_written_off,
    an_ended_reservation_of_a_confirmed_order_is_sold_if_there_is_enough,
    a_product_of_the_previous_release_is_sold_out_until_its_stock_is_set,
);

/// What a reservation of two of ten pieces looks like afterwards: its state, `on_hand`, `reserved`, and what was announced.
type After = (Option<&'static str>, i64, i64, Option<&'static str>);

async fn every_event_moves_the_pieces_that_it_should_in_every_state(room: Room) {
    const NOTHING: After = (None, 10, 0, None);
    const KEPT: After = (Some("reserved"), 10, 2, None);
    const SOLD: After = (Some("sold"), 8, 0, None);
    const BACK: After = (Some("released"), 10, 0, None);
    const REJECTED: After = (Some("rejected"), 10, 0, None);
    const fn announced(after: After, event: &'static str) -> After {
        (after.0, after.1, after.2, Some(event))
    }
    // After order.created, order.confirmed, order.cancelled, and the end of the reservation.
    let table: [(&str, [After; 4]); 6] = [
        ("unknown", [announced(KEPT, "stock_reserved"), NOTHING, BACK, NOTHING]),
        ("reserved", [KEPT, SOLD, BACK, announced(BACK, "stock_rejected")]),
        ("sold", [SOLD, SOLD, BACK, SOLD]),
        ("expired", [BACK, SOLD, BACK, BACK]),
        ("rejected", [REJECTED, announced(REJECTED, "stock_rejected"), REJECTED, REJECTED]),
        ("cancelled", [BACK, BACK, BACK, BACK]),
    ];
    for (before, expected) in table {
        for (event, expected) in ["created", "confirmed", "cancelled", "expired"].into_iter().zip(expected) {
            room.stock(1, 10).await;
            let order = in_state(&room, before).await;
            let announced = happened(&room, order, event).await;
            let level = room.levels().await[&1].clone();
            let reservation = room.reservations().await.remove(&order.0);
            let state = reservation.as_ref().map(|reservation| reservation.state.as_str());
            let after = (state, level.on_hand, level.reserved, announced.as_deref());
            assert_eq!(after, expected, "{event} when {before}");
            room.check_books().await;
            room.cancelled(order).await.unwrap();
        }
    }
}

/// An order of two pieces of product 1, of which there are ten, in a state.
async fn in_state(room: &Room, state: &str) -> OrderId {
    let order = room.order();
    let before: &[&str] = match state {
        "unknown" => &[],
        "reserved" => &["created"],
        "sold" => &["created", "confirmed"],
        "expired" => &["created", "expired"],
        "cancelled" => &["created", "cancelled"],
        "rejected" => {
            room.created(order, &[(1, 11)]).await.unwrap();
            &[]
        }
        other => panic!("{other}"),
    };
    for event in before {
        happened(room, order, event).await;
    }
    order
}

async fn happened(room: &Room, order: OrderId, event: &str) -> Option<String> {
    match event {
        "created" => room.created(order, &[(1, 2)]).await.unwrap(),
        "confirmed" => match room.confirmed(order).await {
            Err(Undone::UnknownOrder) => None,
            outcome => outcome.unwrap(),
        },
        "cancelled" => {
            room.cancelled(order).await.unwrap();
            None
        }
        "expired" => room.expired(order).await.unwrap(),
        other => panic!("{other}"),
    }
}

async fn the_list_is_invalidated_only_when_a_product_is_sold_out_or_back(room: Room) {
    room.stock(1, 10).await;
    let before = room.invalidations();
    let (first, second) = (room.order(), room.order());
    room.created(first, &[(1, 9)]).await.unwrap();
    assert_eq!(room.invalidations(), before, "one is left");
    room.created(room.order(), &[(1, 2)]).await.unwrap();
    assert_eq!(room.invalidations(), before, "nothing was reserved");
    room.created(second, &[(1, 1)]).await.unwrap();
    assert_eq!(room.invalidations(), before + 1, "sold out");
    room.confirmed(first).await.unwrap();
    assert_eq!(room.invalidations(), before + 1, "what is sold was reserved before");
    room.cancelled(first).await.unwrap();
    assert_eq!(room.invalidations(), before + 2, "it is back");
    room.cancelled(second).await.unwrap();
    assert_eq!(room.invalidations(), before + 2, "there were some");
    assert_eq!(room.available(1).await, 10);
}

async fn a_deleted_products_reservations_are_sold_or_written_off(room: Room) {
    room.stock(1, 10).await;
    let orders: [OrderId; 3] = std::array::from_fn(|_| room.order());
    for order in orders {
        room.created(order, &[(1, 2), (2, 1)]).await.unwrap();
    }
    room.products.delete(ProductId(1)).await.unwrap();
    let level = room.levels().await[&1].clone();
    assert_eq!((level.received, level.on_hand, level.reserved), (6, 6, 6));
    assert_eq!(room.created(room.order(), &[(1, 1)]).await.unwrap().as_deref(), Some("stock_rejected"));

    let invalidations = room.invalidations();
    room.confirmed(orders[0]).await.unwrap();
    room.cancelled(orders[1]).await.unwrap();
    room.confirmed(orders[2]).await.unwrap();
    room.cancelled(orders[2]).await.unwrap();
    let level = room.levels().await[&1].clone();
    assert_eq!((level.received, level.on_hand, level.reserved), (2, 0, 0), "two were sold");
    assert_eq!(room.invalidations(), invalidations, "nobody can buy it");
    room.check_books().await;
}

async fn an_ended_reservation_of_a_confirmed_order_is_sold_if_there_is_enough(room: Room) {
    room.stock(1, 3).await;
    let (early, late) = (room.order(), room.order());
    room.created(early, &[(1, 2)]).await.unwrap();
    room.created(late, &[(1, 1)]).await.unwrap();
    room.clock.advance(LASTS);
    assert_eq!(room.swept().await, 2);

    assert_eq!(room.confirmed(early).await.unwrap(), None);
    let level = room.levels().await[&1].clone();
    assert_eq!((level.on_hand, level.reserved), (1, 0));
    room.stock(1, 0).await;
    assert_eq!(room.confirmed(late).await.unwrap().as_deref(), Some("stock_rejected"));
    let reservations = room.reservations().await;
    assert_eq!(reservations[&early.0].state, "sold");
    assert_eq!(
        (reservations[&late.0].state.as_str(), reservations[&late.0].reserved_until),
        ("rejected", None)
    );
    room.check_books().await;
}

async fn a_product_of_the_previous_release_is_sold_out_until_its_stock_is_set(room: Room) {
    room.forget_stock_of(1).await;
    assert_eq!(room.available(1).await, 0);
    assert_eq!(room.created(room.order(), &[(1, 1)]).await.unwrap().as_deref(), Some("stock_rejected"));
    room.replace(1, None).await;
    assert_eq!(room.available(1).await, 0);
    room.replace(1, Some(5)).await;
    assert_eq!(room.created(room.order(), &[(1, 1)]).await.unwrap().as_deref(), Some("stock_reserved"));
    room.check_books().await;
}

/// Something that happens. Orders are numbers, so that what concerns one comes twice, too late, or never.
#[derive(Clone, Debug)]
enum Happening {
    Created(u8, Vec<(i64, u32)>),
    Confirmed(u8),
    Cancelled(u8),
    /// All reservations that there are end.
    TimePasses,
    Stock(i64, u32),
    Replaced(i64),
    Deleted(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let (order, product) = (0..6_u8, 1..4_i64);
    let lines = prop::collection::vec((1..5_i64, 0..4_u32), 0..4);
    prop_oneof![
        6 => (order.clone(), lines).prop_map(|(order, lines)| Happening::Created(order, lines)),
        4 => order.clone().prop_map(Happening::Confirmed),
        3 => order.prop_map(Happening::Cancelled),
        1 => Just(Happening::TimePasses),
        2 => (product.clone(), 0..6_u32).prop_map(|(product, pieces)| Happening::Stock(product, pieces)),
        1 => product.clone().prop_map(Happening::Replaced),
        1 => product.prop_map(Happening::Deleted),
    ]
}

async fn happens(room: &Room, happening: Happening) {
    let id = |order: u8| OrderId(Uuid::from_u128(order.into()));
    match happening {
        Happening::Created(order, lines) => drop(room.created(id(order), &lines).await.unwrap()),
        Happening::Confirmed(order) => match room.confirmed(id(order)).await {
            Ok(_) | Err(Undone::UnknownOrder) => {}
            Err(error) => panic!("{error}"),
        },
        Happening::Cancelled(order) => room.cancelled(id(order)).await.unwrap(),
        Happening::TimePasses => {
            room.clock.advance(LASTS);
            room.swept().await;
        }
        Happening::Stock(product, pieces) => room.stock(product, pieces).await,
        Happening::Replaced(product) => room.replace(product, None).await,
        Happening::Deleted(product) => drop(room.products.delete(ProductId(product)).await.unwrap()),
    }
}

/// Runs `cases` stories, each on a database of its own.
fn the_books_hold<F>(cases: u32, runtime: &Runtime, room: impl Fn() -> F)
where
    F: Future<Output = Option<Room>>,
{
    let stories = prop::collection::vec(happening(), 1..40);
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&stories, |story| {
        runtime.block_on(async {
            let Some(room) = room().await else { return };
            room.stock(1, 5).await;
            room.stock(2, 3).await;
            for what in story {
                happens(&room, what).await;
                room.check_books().await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn the_books_hold_whatever_happens_on_sqlite() {
    the_books_hold(48, &runtime(), || async { Some(Room::on_sqlite().await) });
}

#[test]
fn the_books_hold_whatever_happens_on_postgres() {
    the_books_hold(8, &runtime(), Room::on_postgres);
}
