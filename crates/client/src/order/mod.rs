//! order_service: what an order is, how it is placed and changed, and how its life is followed.

mod life;
mod orders;
mod owner;
mod representation;

pub use self::{
    life::Life,
    orders::{NewOrder, Orders},
    owner::Owner,
    representation::{Cancellation, Happening, Order, OrderedLine, Step},
};
