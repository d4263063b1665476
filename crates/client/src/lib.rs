//! The shop's own clients of auth_service, catalog_service, order_service and notification_service, following their HTTP contracts.
//!
//! Everything that callers share is here: an upstream without a proxy, limited in time and size; failures, by what a caller can
//! do about them; which calls are retried; the cursor of the next page; streams of events; and the request and response types. There are no texts for
//! people: those belong to the storefront and the bot.
//!
//! Readers ignore fields that they do not know, so a service can add some. A status or a step that they do not know is nothing that they
//! refuse either: callers show an order without it.
#![warn(missing_docs)]

mod auth;
mod books;
mod catalog;
mod failure;
mod guest;
mod link;
mod managing;
mod notification;
mod order;
mod page;
mod retry;
mod sse;
mod upstream;

pub use auth::{Auth, OnBehalf, Token};
pub use books::{
    Books, Charge, ChargeState, Notice, NoticeState, Payment, PaymentState, Reservation, ReservationState,
    ReservedLine, Stock,
};
pub use catalog::{Catalog, Product, Search};
pub use failure::{Failure, Refusal};
pub use guest::GuestOrder;
pub use managing::Description;
pub use notification::Notifications;
pub use order::{Cancellation, Happening, Life, NewOrder, Order, OrderedLine, Orders, Owner, Step};
pub use page::{Page, Slice};
/// The HTTP client that makes connections; clones share them.
pub use reqwest::Client as Http;
/// A client for [`Upstream`]s, with time-outs and without redirects or a proxy; several can share one.
///
/// # Errors
/// The system's TLS roots cannot be read.
pub use shop_runtime::client::client as http;
pub use upstream::{Upstream, parse_address};
