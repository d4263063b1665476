//! The shop's own clients of auth_service, catalog_service and order_service, as their HTTP contracts describe them.
//!
//! One home for what every caller needs: an upstream without a proxy, bounded in time and size; failures by what a caller can
//! do about them; which calls are made again; the cursor of the next page; and what is read and sent. It has no words for
//! people: those are the storefront's and the bot's.
//!
//! Readers ignore members that they do not know, so a service may add some.
#![warn(missing_docs)]

mod auth;
mod catalog;
mod failure;
mod link;
mod order;
mod page;
mod retry;
mod upstream;

pub use auth::{Auth, OnBehalf, Token};
pub use catalog::{Catalog, Product, Search};
pub use failure::{Failure, Refusal};
pub use order::{NewOrder, Order, OrderedLine, Orders};
pub use page::{Page, Slice};
/// What connections are made with; clones share them.
pub use reqwest::Client as Http;
/// A client for [`Upstream`]s, with time-outs and without redirects or a proxy; several can share one.
///
/// # Errors
/// The system's TLS roots cannot be read.
pub use shop_runtime::client::client as http;
pub use upstream::{Upstream, parse_address};
