//! What an order is and what may happen to it. Uses neither HTTP nor a database.

mod basket;
mod cancellation;
mod catalog;
mod guest_rate;
mod item;
mod life;
mod order;
mod order_token;
mod pricing;
mod timeline;
mod tracking;
mod viewer;

pub(crate) use basket::{Basket, InvalidBasket, Line};
pub(crate) use cancellation::Cancellation;
pub(crate) use catalog::{Catalog, CatalogAway, Product};
pub(crate) use guest_rate::{GuestRate, TooMany};
pub(crate) use item::Item;
pub(crate) use life::{
    Announcement, Change, Consequence, Happening, Life, NotCancellable, NotDeliverable, NotShippable,
};
pub(crate) use order::{Customer, Order, Outline};
pub(crate) use order_token::{NotAToken, OrderToken, TokenHash};
pub(crate) use pricing::{Quote, Unquotable};
pub(crate) use timeline::{Entry, Milestone, Timeline};
pub(crate) use tracking::{NotATrackingNumber, TrackingNumber};
pub(crate) use viewer::{Account, NotTheCustomer, Viewer};
