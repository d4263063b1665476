//! The faults in an order's life.

use std::time::Duration;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    CatalogKilled,
    OrderKilled,
    PaymentKilled,
    NotificationKilled,
    OrderPublisherKilled,
    CatalogPublisherKilled,
    PaymentPublisherKilled,
    BrokerKilled,
    BrokerFrozen,
    DatabaseKilled,
    DatabaseFrozen,
    SessionsEnded,
    RedisKilled,
    ProviderGone,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::CatalogKilled,
        Self::OrderKilled,
        Self::PaymentKilled,
        Self::NotificationKilled,
        Self::OrderPublisherKilled,
        Self::CatalogPublisherKilled,
        Self::PaymentPublisherKilled,
        Self::BrokerKilled,
        Self::BrokerFrozen,
        Self::DatabaseKilled,
        Self::DatabaseFrozen,
        Self::SessionsEnded,
        Self::RedisKilled,
        Self::ProviderGone,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CatalogKilled => "catalog killed",
            Self::OrderKilled => "order killed",
            Self::PaymentKilled => "payment killed",
            Self::NotificationKilled => "notification killed",
            Self::OrderPublisherKilled => "the orders' publisher killed",
            Self::CatalogPublisherKilled => "the catalog's publisher killed",
            Self::PaymentPublisherKilled => "the payments' publisher killed",
            Self::BrokerKilled => "RabbitMQ killed and started",
            Self::BrokerFrozen => "RabbitMQ frozen",
            Self::DatabaseKilled => "PostgreSQL killed and started",
            Self::DatabaseFrozen => "PostgreSQL frozen",
            Self::SessionsEnded => "all database sessions ended",
            Self::RedisKilled => "Redis killed and started",
            Self::ProviderGone => "the payment provider gone",
        }
    }

    /// The part of the shop that it kills, if it kills one.
    pub(crate) fn victim(self) -> Option<&'static str> {
        match self {
            Self::CatalogKilled => Some("catalog"),
            Self::OrderKilled => Some("order"),
            Self::PaymentKilled => Some("payment"),
            Self::NotificationKilled => Some("notification"),
            Self::OrderPublisherKilled => Some("order-publisher"),
            Self::CatalogPublisherKilled => Some("catalog-publisher"),
            Self::PaymentPublisherKilled => Some("payment-publisher"),
            _ => None,
        }
    }
}

/// A planned fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) lasts: Duration,
}
