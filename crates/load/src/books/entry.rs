use std::collections::BTreeMap;

use shop_client::{Charge, Notice, Order, Payment, Reservation, ReservationState};
use shop_core::ProductId;

/// What all the books say about one order.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// order_service's own; `None` if it does not have the order.
    pub(crate) order: Option<Order>,
    /// catalog_service's.
    pub(crate) reservations: Vec<Reservation>,
    /// payment_service's.
    pub(crate) payments: Vec<Payment>,
    /// The provider's.
    pub(crate) charges: Vec<Charge>,
    /// notification_service's.
    pub(crate) notices: Vec<Notice>,
}

/// Quantities by product, so that lines can be compared whatever their order is.
pub(crate) type Lines = BTreeMap<ProductId, u64>;

pub(crate) fn lines(of: impl IntoIterator<Item = (ProductId, u32)>) -> Lines {
    let mut lines = Lines::new();
    for (product, quantity) in of {
        *lines.entry(product).or_default() += u64::from(quantity);
    }
    lines
}

/// How much of a product all reservations together hold, and have sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// By reservations that are `reserved`.
    pub(crate) reserved: i64,
    /// By reservations that are `sold`.
    pub(crate) sold: i64,
}

/// What all reservations hold, by product.
#[derive(Debug, Default)]
pub(crate) struct AllHeld(pub(crate) BTreeMap<ProductId, Held>);

impl AllHeld {
    /// Adds what `reservation` holds.
    pub(crate) fn add(&mut self, reservation: &Reservation) {
        for line in &reservation.items {
            let held = self.0.entry(line.product_id).or_default();
            match reservation.state {
                ReservationState::Reserved => held.reserved += i64::from(line.quantity),
                ReservationState::Sold => held.sold += i64::from(line.quantity),
                ReservationState::Released | ReservationState::Rejected => {}
            }
        }
    }

    /// Adds what other reservations hold.
    pub(crate) fn merge(&mut self, other: Self) {
        for (product, more) in other.0 {
            let held = self.0.entry(product).or_default();
            held.reserved += more.reserved;
            held.sold += more.sold;
        }
    }
}
