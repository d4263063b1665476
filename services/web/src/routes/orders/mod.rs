//! A customer's orders, and a guest's one: the list, one order with its life, and cancelling it.

mod events;
mod guest;
mod life;
mod list;
mod one;

pub(super) use self::{
    events::events,
    list::list,
    one::{cancel, order},
};
