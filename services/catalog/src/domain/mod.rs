//! What a product is, and how products are selected. No database, no HTTP.

mod cursor;
mod filter;
mod picture;
mod product;
mod stock;

pub(crate) use cursor::Cursor;
pub(crate) use filter::{Filter, MAX_IDS};
pub(crate) use picture::{drawing_names, is_drawing, picture};
pub(crate) use product::{CURRENCY, Draft, Fields, Product, Refused};
pub(crate) use stock::Stock;
