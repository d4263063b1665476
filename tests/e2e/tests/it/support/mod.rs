//! A shop to test: its processes, on their own ports and data.

mod admin;
mod amqp;
mod books;
pub(crate) mod controlled;
pub(crate) mod outbox;
mod process;
mod shop;
mod visitor;

pub(crate) use admin::admin_token;
pub(crate) use amqp::{Tap, order_and_type};
pub(crate) use books::assert_books_agree;
pub(crate) use controlled::Controlled;
pub(crate) use outbox::Outbox;
pub(crate) use process::Process;
pub(crate) use shop::{Backends, Real, Shop};
pub(crate) use visitor::Visitor;

/// A client for the shop's APIs.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}
