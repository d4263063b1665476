//! The payment service on its brokers and databases, with the simulated provider and with a stand-in for Stripe.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod amounts;
mod cancelling;
mod delivery;
mod harness;
mod lists;
mod outages;
mod replicas;
mod stripe;
mod stripe_api;
mod webhooks;
