//! The contracts of the events on the exchange [`EXCHANGE`]: names, routing keys and payloads.
//!
//! Payloads only gain fields, and codes only gain values. A reader ignores fields that it does not know, takes a code that it does not
//! know for the code's default, and a field that was added later has a default. So an event that was written by an older or a newer
//! version can be read. The files in `tests/golden` are payloads that have been published once and must stay readable.

mod code;
mod event;
mod order;
mod payment;
mod read;
mod stock;

pub use self::{
    event::{EXCHANGE, Event},
    order::{
        CancellationCode, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderShipped,
        OrderedItem,
    },
    payment::{PaymentFailed, PaymentFailure, PaymentProcessed, PaymentRefunded},
    stock::{Shortage, StockRejected, StockReserved},
};
