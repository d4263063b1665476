//! Events as the catalog and the payment service publish them.

use shop_core::{
    Currency, Email, Money, OrderId, PaymentId,
    events::{
        PaymentFailed, PaymentFailure, PaymentProcessed, PaymentRefunded, StockRejected, StockReserved,
    },
};
use uuid::Uuid;

use crate::harness::Who;

fn order(id: &str) -> OrderId {
    id.parse().unwrap()
}

fn email() -> Email {
    Who::Anna.email().parse().unwrap()
}

fn amount() -> Money {
    Money::from_minor(50_000).unwrap()
}

fn payment_id() -> PaymentId {
    PaymentId(Uuid::nil())
}

pub(crate) fn stock_reserved(id: &str) -> StockReserved {
    StockReserved {
        order_id: order(id),
        customer_email: email(),
        total_amount: amount(),
        currency: Currency::RUB,
        items: Vec::new(),
        reserved_until: chrono::DateTime::UNIX_EPOCH,
    }
}

pub(crate) fn stock_rejected(id: &str) -> StockRejected {
    StockRejected {
        order_id: order(id),
        reason: "only 0 of product 1 left".to_owned(),
        shortages: Vec::new(),
    }
}

pub(crate) fn payment_processed(id: &str) -> PaymentProcessed {
    PaymentProcessed {
        order_id: order(id),
        payment_id: payment_id(),
        customer_email: email(),
        amount: amount(),
        currency: Currency::RUB,
    }
}

pub(crate) fn payment_failed(id: &str, code: PaymentFailure) -> PaymentFailed {
    PaymentFailed {
        order_id: order(id),
        payment_id: payment_id(),
        customer_email: email(),
        amount: amount(),
        currency: Currency::RUB,
        code,
        reason: "the bank said no".to_owned(),
    }
}

pub(crate) fn payment_refunded(id: &str) -> PaymentRefunded {
    PaymentRefunded {
        order_id: order(id),
        payment_id: payment_id(),
        customer_email: email(),
        amount: amount(),
        currency: Currency::RUB,
    }
}
