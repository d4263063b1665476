//! A payment as a row, and back.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    DbErr,
};
use shop_core::{Email, Money, OrderId, PaymentId, events::PaymentFailure};

use super::entity::payment::{ActiveModel, Model};
use crate::domain::Payment;

/// All columns that the domain knows. Lease and trace stay as they are.
pub(super) fn write(payment: &Payment) -> ActiveModel {
    ActiveModel {
        id: Set(payment.id.0),
        order_id: Set(payment.order_id.0),
        customer_email: Set(payment.customer_email.to_string()),
        amount: Set(payment.amount.minor()),
        currency: Set(payment.currency.to_string()),
        state: Set(payment.state.to_string()),
        code: Set(payment.code.map(|code| code.as_str().to_owned())),
        reason: Set(payment.reason.clone()),
        provider: Set(payment.provider.clone()),
        idempotency_key: Set(payment.idempotency_key.clone()),
        reference: Set(payment.reference.clone()),
        doubt: Set(payment.doubt.to_string()),
        unwanted: Set(payment.unwanted),
        attempts: Set(i32::try_from(payment.attempts).unwrap_or(i32::MAX)),
        aggregate_version: Set(payment.version),
        give_up_at: Set(payment.give_up_at),
        due_at: Set(payment.due_at),
        lease: NotSet,
        leased_until: NotSet,
        traceparent: NotSet,
        created_at: Set(payment.created_at),
        updated_at: Set(payment.updated_at),
    }
}

pub(super) fn read(row: Model) -> Result<Payment, DbErr> {
    Ok(Payment {
        id: PaymentId(row.id),
        order_id: OrderId(row.order_id),
        customer_email: Email::from_stored(&row.customer_email).map_err(|_| unreadable("customer_email"))?,
        amount: Money::from_minor(row.amount).map_err(|_| unreadable("amount"))?,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        state: row.state.parse().map_err(|_| unreadable("state"))?,
        code: row.code.as_deref().map(code_of).transpose()?,
        reason: row.reason,
        provider: row.provider,
        idempotency_key: row.idempotency_key,
        reference: row.reference,
        doubt: row.doubt.parse().map_err(|_| unreadable("doubt"))?,
        unwanted: row.unwanted,
        attempts: row.attempts.try_into().map_err(|_| unreadable("attempts"))?,
        version: row.aggregate_version,
        give_up_at: row.give_up_at,
        due_at: row.due_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn code_of(name: &str) -> Result<PaymentFailure, DbErr> {
    let code = PaymentFailure::ALL.into_iter().find(|code| code.as_str() == name);
    code.ok_or_else(|| unreadable("code"))
}

/// A row that this code did not write.
fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("{column} contains an invalid value"))
}
