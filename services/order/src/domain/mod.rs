//! What an order is and what may happen to it. Knows no HTTP and no database.

mod basket;
mod catalog;
mod order;
mod pricing;
mod viewer;

pub(crate) use basket::{Basket, InvalidBasket, Line, MAX_QUANTITY};
pub(crate) use catalog::{Catalog, CatalogAway, Product};
pub(crate) use order::{Customer, Item, NotCancellable, Order};
pub(crate) use pricing::{Quote, Unquotable};
pub(crate) use viewer::{Account, NotTheCustomer, Viewer};
