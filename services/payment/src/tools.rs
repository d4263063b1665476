//! The operator's tools.

use shop_runtime::consumer::{self, Consumes};

use crate::Payment;

/// What an operator can do: `dead-letters`.
pub type Tool = consumer::Tool<Payment>;

impl Consumes for Payment {
    const QUEUE: &'static str = "payment";
    const BUS_VARIABLE: &'static str = "PAYMENT_RABBITMQ_URL";
}
