//! What an order is and what may happen to it. Uses neither HTTP nor a database.

mod basket;
mod catalog;
mod guest_rate;
mod item;
mod order;
mod order_token;
mod pricing;
mod viewer;

pub(crate) use basket::{Basket, InvalidBasket, Line};
pub(crate) use catalog::{Catalog, CatalogAway, Product};
pub(crate) use guest_rate::{GuestRate, TooMany};
pub(crate) use item::Item;
pub(crate) use order::{Customer, NotCancellable, Order, Outline};
pub(crate) use order_token::{NotAToken, OrderToken, TokenHash};
pub(crate) use pricing::{Quote, Unquotable};
pub(crate) use viewer::{Account, NotTheCustomer, Viewer};
