//! Many at once.

use std::time::Duration;

use futures_util::future::join_all;
use shop_core::ProductId;

use super::room::{LASTS, Room, on_both_databases};
use crate::stock::desk::Undone;

on_both_databases!(
    of_many_buyers_of_the_last_piece_one_wins,
    orders_with_the_same_products_never_wait_in_a_circle,
    two_replicas_end_each_reservation_once,
    a_reservation_that_somebody_deals_with_is_not_ended,
    an_order_that_is_cancelled_while_it_is_created_keeps_nothing,
    an_administrator_and_buyers_at_once_leave_the_books_right,
);

async fn of_many_buyers_of_the_last_piece_one_wins(room: Room) {
    room.stock(1, 1).await;
    let orders: Vec<_> = (0..40).map(|_| room.order()).collect();
    let outcomes = join_all(orders.iter().map(|order| {
        let room = room.clone();
        let order = *order;
        // Each on a task of its own, so that they run on both threads.
        shop_task(async move { room.created(order, &[(1, 1)]).await.unwrap().unwrap() })
    }));
    let outcomes = outcomes.await;
    let count = |kind: &str| outcomes.iter().filter(|outcome| *outcome == kind).count();
    assert_eq!((count("stock_reserved"), count("stock_rejected")), (1, 39));
    assert_eq!(room.available(1).await, 0);
    room.check_books().await;
}

async fn orders_with_the_same_products_never_wait_in_a_circle(room: Room) {
    for product in 1..=4 {
        room.stock(product, 1000).await;
    }
    let lives = join_all((0..24_u32).map(|number| {
        let room = room.clone();
        shop_task(async move {
            // In a different order each time.
            let lines: Vec<_> =
                (0..4).map(|place| (i64::from((number + place * (number % 2 * 2 + 1)) % 4) + 1, 1)).collect();
            let order = room.order();
            room.created(order, &lines).await.unwrap();
            if number % 3 > 0 {
                room.confirmed(order).await.unwrap();
            }
            if number % 2 > 0 {
                room.cancelled(order).await.unwrap();
            }
        })
    }));
    lives.await;
    room.check_books().await;
}

async fn two_replicas_end_each_reservation_once(room: Room) {
    room.stock(1, 500).await;
    for _ in 0..30 {
        room.created(room.order(), &[(1, 3), (2, 1)]).await.unwrap();
    }
    assert_eq!(room.swept().await, 0, "none has ended yet");
    room.clock.advance(LASTS);
    let other = room.clone();
    let (here, there) = futures_util::join!(
        shop_task({
            let room = room.clone();
            async move { room.swept().await }
        }),
        shop_task(async move { other.swept().await })
    );
    assert_eq!(here + there, 30);
    assert_eq!(room.swept().await, 0);
    assert_eq!(room.available(1).await, 500);
    assert!(room.reservations().await.values().all(|reservation| reservation.state == "released"));
    room.check_books().await;
}

async fn a_reservation_that_somebody_deals_with_is_not_ended(room: Room) {
    let order = room.order();
    room.created(order, &[(1, 1)]).await.unwrap();
    room.clock.advance(LASTS);
    assert_eq!(room.confirmed(order).await.unwrap(), None);
    assert_eq!(room.swept().await, 0, "it was sold just before");
    assert_eq!(room.reservations().await[&order.0].state, "sold");
}

async fn an_order_that_is_cancelled_while_it_is_created_keeps_nothing(room: Room) {
    for _ in 0..10 {
        let (order, before) = (room.order(), room.available(1).await);
        let (here, there) = (room.clone(), room.clone());
        let (created, ()) = futures_util::join!(
            shop_task(async move { here.created(order, &[(1, 2)]).await.unwrap() }),
            shop_task(async move { there.cancelled(order).await.unwrap() })
        );
        // Whichever was first: at the end nothing is reserved.
        assert!(matches!(created.as_deref(), None | Some("stock_reserved")));
        assert_eq!(room.available(1).await, before);
        let reservation = &room.reservations().await[&order.0];
        assert!(reservation.cancelled && reservation.state == "released", "{reservation:?}");
    }
    room.check_books().await;
}

async fn an_administrator_and_buyers_at_once_leave_the_books_right(room: Room) {
    room.stock(1, 5).await;
    let admin = {
        let room = room.clone();
        shop_task(async move {
            for pieces in [3, 0, 8, 2, 4] {
                room.replace(1, Some(pieces)).await;
                room.replace(2, None).await;
            }
            room.products.delete(ProductId(3)).await.unwrap();
        })
    };
    let buyers = join_all((0..30_u32).map(|number| {
        let room = room.clone();
        shop_task(async move {
            let order = room.order();
            let lines = [(1, 1), (2, 1), (3, u32::from(number % 2 > 0))];
            // Pieces that come back in the middle of an attempt make the consumer repeat it.
            loop {
                match room.created(order, &lines).await {
                    Err(Undone::Changed) => {}
                    outcome => break drop(outcome.unwrap()),
                }
            }
            if number % 3 == 0 {
                room.cancelled(order).await.unwrap();
            }
        })
    }));
    futures_util::join!(admin, buyers);
    room.check_books().await;
}

/// On PostgreSQL alone: SQLite has one writer at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_for_what_is_sold_out_waits_for_nobody() {
    let Some(room) = Room::on_postgres().await else { return };
    room.stock(1, 0).await;
    let holder = room.lock_product(1).await;
    let ordered = room.created(room.order(), &[(1, 1)]);
    let rejected = tokio::time::timeout(Duration::from_secs(2), ordered).await.expect("it waits");
    assert_eq!(rejected.unwrap().as_deref(), Some("stock_rejected"));

    // One of which there are enough does wait: its pieces may be taken at this moment.
    room.stock(2, 1).await;
    let other = room.lock_product(2).await;
    let waiting = shop_task({
        let room = room.clone();
        async move { room.created(room.order(), &[(2, 1)]).await.unwrap() }
    });
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting.as_mut()).await.is_err());
    other.rollback().await.unwrap();
    assert_eq!(waiting.await.as_deref(), Some("stock_reserved"));
    holder.rollback().await.unwrap();
}

/// Runs `work` on a task of its own.
#[expect(clippy::disallowed_methods, reason = "a test waits for its tasks itself")]
async fn shop_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work).await.unwrap()
}
