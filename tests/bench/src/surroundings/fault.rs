//! The faults of the shop's surroundings.

use std::time::Duration;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    FailedOver,
    SwitchedOver,
    DatabaseFrozen,
    DatabaseKilled,
    DiskFull,
    SessionsEnded,
    PasswordRotated,
    RedisFrozen,
    RedisKilled,
    BrokerFrozen,
    BrokerKilled,
    PoolerFrozen,
    PoolerKilled,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::FailedOver,
        Self::SwitchedOver,
        Self::DatabaseFrozen,
        Self::DatabaseKilled,
        Self::DiskFull,
        Self::SessionsEnded,
        Self::PasswordRotated,
        Self::RedisFrozen,
        Self::RedisKilled,
        Self::BrokerFrozen,
        Self::BrokerKilled,
        Self::PoolerFrozen,
        Self::PoolerKilled,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FailedOver => "PostgreSQL lost, its standby promoted",
            Self::SwitchedOver => "PostgreSQL demoted under open connections",
            Self::DatabaseFrozen => "PostgreSQL frozen",
            Self::DatabaseKilled => "PostgreSQL killed and started",
            Self::DiskFull => "PostgreSQL's disk full",
            Self::SessionsEnded => "all database sessions ended",
            Self::PasswordRotated => "the database password rotated",
            Self::RedisFrozen => "Redis frozen",
            Self::RedisKilled => "Redis killed and started",
            Self::BrokerFrozen => "RabbitMQ frozen",
            Self::BrokerKilled => "RabbitMQ killed and started",
            Self::PoolerFrozen => "PgBouncer frozen",
            Self::PoolerKilled => "PgBouncer killed and started",
        }
    }
}

/// A planned fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) lasts: Duration,
}
