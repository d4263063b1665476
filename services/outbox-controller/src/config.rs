use std::{net::SocketAddr, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use shop_core::events::EXCHANGE;
use shop_outbox::{Bounds, Options};
use shop_runtime::{BusUrl, config::DatabaseUrl};

/// Where the outbox is; the tools need nothing else.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// The outbox's database
    #[arg(long, env = "OUTBOX_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The outbox's schema (PostgreSQL)
    #[arg(long, env = "OUTBOX_SCHEMA", default_value = "orders")]
    pub schema: String,
}

const HOUR: u64 = 3600;

/// The limits of the library's options, in the units of the variables.
const BATCH_SIZE: Bounds<u64> = Bounds {
    min: Options::BATCH_SIZE.min as u64,
    max: Options::BATCH_SIZE.max as u64,
    default: Options::BATCH_SIZE.default as u64,
};
const MAX_ATTEMPTS: Bounds<u64> = Bounds {
    min: Options::MAX_ATTEMPTS.min as u64,
    max: Options::MAX_ATTEMPTS.max as u64,
    default: Options::MAX_ATTEMPTS.default as u64,
};
const POLL_INTERVAL_MS: Bounds<u64> = Bounds {
    min: Options::POLL_INTERVAL.min.as_millis() as u64,
    max: Options::POLL_INTERVAL.max.as_millis() as u64,
    default: Options::POLL_INTERVAL.default.as_millis() as u64,
};
pub(crate) const LEASE_SECONDS: Bounds<u64> = seconds(Options::LEASE);
const PUBLISH_DEADLINE_SECONDS: Bounds<u64> = seconds(Options::PUBLISH_DEADLINE);
const RETENTION_HOURS: Bounds<u64> = {
    let Bounds { min, max, default } = seconds(Options::RETENTION);
    Bounds { min: min / HOUR, max: max / HOUR, default: default / HOUR }
};

pub(crate) const fn seconds(bounds: Bounds<Duration>) -> Bounds<u64> {
    let Bounds { min, max, default } = bounds;
    Bounds { min: min.as_secs(), max: max.as_secs(), default: default.as_secs() }
}

/// Reads a number within `bounds`.
pub(crate) fn within<T: TryFrom<u64>>(bounds: Bounds<u64>) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::from(bounds.min..=bounds.max)
}

/// The most bytes that AMQP carries in a name.
pub(crate) const SHORT: usize = 255;

/// Whether this name of an exchange or a queue is reserved by the broker.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with("amq.")
}

/// The name of the publishers' fence contains it, and more.
fn exchange(text: &str) -> Result<String, &'static str> {
    if text.len() > SHORT / 2 { Err("it has more than 127 bytes") } else { queue(text) }
}

fn queue(text: &str) -> Result<String, &'static str> {
    if is_reserved(text) { Err(crate::object::NOT_RESERVED) } else { short(text) }
}

fn short(text: &str) -> Result<String, &'static str> {
    match text.len() {
        0 => Err("it is empty"),
        1..=SHORT => Ok(text.to_owned()),
        _ => Err("it has more than 255 bytes"),
    }
}

/// The publisher's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to serve /health, /livez, /readyz and /metrics
    #[arg(long, env = "OUTBOX_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// The outbox to publish
    #[command(flatten)]
    pub outbox: OutboxConfig,
    /// More outboxes to publish. Only a process that hosts several services has them: no variable can name them.
    #[arg(skip)]
    pub others: Vec<OutboxConfig>,
}

/// An outbox, and how it is published.
#[derive(Args, Clone, Debug)]
pub struct OutboxConfig {
    /// What health and metrics call it, in a process that may publish several.
    #[arg(skip)]
    pub name: Option<&'static str>,
    /// The outbox
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// The broker: amqp:// or amqps://
    #[arg(long, env = "OUTBOX_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// The topic exchange to publish to, which is declared
    #[arg(long, env = "OUTBOX_EXCHANGE", default_value = EXCHANGE, value_parser = exchange)]
    pub exchange: String,
    /// A queue that keeps the latest 10,000 events; `none`: no such queue, so events that no other queue accepts become dead
    #[arg(long, env = "OUTBOX_EVENT_LOG", default_value = "shop_events.log", value_parser = queue)]
    pub event_log: String,
    /// Queues that must exist before anything is published, separated by commas: those of the consumers that must miss no event
    #[arg(long, env = "OUTBOX_REQUIRED_QUEUES", value_delimiter = ',', value_parser = queue)]
    pub required_queues: Vec<String>,
    /// The AMQP app_id of every message: who publishes
    #[arg(long, env = "OUTBOX_APP_ID", default_value = "order_service", value_parser = short)]
    pub app_id: String,
    /// Messages that may be unconfirmed or unmarked at once: the most that a crash can duplicate
    #[arg(
        long,
        env = "OUTBOX_BATCH_SIZE",
        default_value_t = Options::BATCH_SIZE.default,
        value_parser = within::<usize>(BATCH_SIZE)
    )]
    pub batch_size: usize,
    /// How often an idle publisher polls, in milliseconds; a commit wakes it at once
    #[arg(
        long,
        env = "OUTBOX_POLL_INTERVAL_MS",
        default_value_t = POLL_INTERVAL_MS.default,
        value_parser = within::<u64>(POLL_INTERVAL_MS)
    )]
    pub poll_interval_ms: u64,
    /// How long the lease lasts without renewal, in seconds: the longest gap after a crash
    #[arg(
        long,
        env = "OUTBOX_LEASE_SECONDS",
        default_value_t = LEASE_SECONDS.default,
        value_parser = within::<u64>(LEASE_SECONDS)
    )]
    pub lease_seconds: u64,
    /// How long the broker may take to confirm a window, which is half a batch, in seconds
    #[arg(
        long,
        env = "OUTBOX_PUBLISH_DEADLINE_SECONDS",
        default_value_t = PUBLISH_DEADLINE_SECONDS.default,
        value_parser = within::<u64>(PUBLISH_DEADLINE_SECONDS)
    )]
    pub publish_deadline_seconds: u64,
    /// How often a message that the broker refuses is tried before it is dead
    #[arg(
        long,
        env = "OUTBOX_MAX_ATTEMPTS",
        default_value_t = Options::MAX_ATTEMPTS.default,
        value_parser = within::<u32>(MAX_ATTEMPTS)
    )]
    pub max_attempts: u32,
    /// How long sent rows are kept, in hours; 0: forever
    #[arg(
        long,
        env = "OUTBOX_RETENTION_HOURS",
        default_value_t = RETENTION_HOURS.default,
        value_parser = within::<u64>(RETENTION_HOURS)
    )]
    pub retention_hours: u64,
}

impl Config {
    /// Listens on `listen` and publishes these outboxes of a process that hosts their services.
    pub fn embedded(listen: SocketAddr, outbox: OutboxConfig, others: Vec<OutboxConfig>) -> Self {
        Self { listen, outbox, others }
    }

    pub(crate) fn outboxes(&self) -> impl Iterator<Item = &OutboxConfig> {
        std::iter::once(&self.outbox).chain(&self.others)
    }
}

impl OutboxConfig {
    /// The outbox `name` of the service `app_id`, in its `database`, with a broker inside the process. The publisher checks for
    /// messages often, because on SQLite nothing wakes it.
    pub fn embedded(name: &'static str, app_id: &str, database: DatabaseConfig) -> Self {
        Self {
            name: Some(name),
            database,
            rabbitmq_url: BusUrl::EMBEDDED,
            exchange: EXCHANGE.to_owned(),
            event_log: "shop_events.log".to_owned(),
            required_queues: Vec::new(),
            app_id: app_id.to_owned(),
            batch_size: Options::BATCH_SIZE.default,
            poll_interval_ms: 50,
            lease_seconds: LEASE_SECONDS.min,
            publish_deadline_seconds: PUBLISH_DEADLINE_SECONDS.default,
            max_attempts: Options::MAX_ATTEMPTS.default,
            retention_hours: RETENTION_HOURS.default,
        }
    }

    /// How long the lease lasts without renewal.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// The library's options, for a publisher known as `holder`.
    pub(crate) fn options(&self, holder: String) -> Options {
        let mut options = Options::new(holder, self.app_id.clone());
        options.batch_size = self.batch_size;
        options.poll_interval = Duration::from_millis(self.poll_interval_ms);
        options.lease = self.lease();
        options.publish_deadline = Duration::from_secs(self.publish_deadline_seconds);
        options.retry.max_attempts = self.max_attempts;
        options.retention =
            (self.retention_hours > 0).then(|| Duration::from_secs(self.retention_hours * HOUR));
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_broker_would_refuse_are_refused_at_the_start() {
        assert_eq!(exchange("shop_events"), Ok("shop_events".to_owned()));
        assert_eq!(queue("none"), Ok("none".to_owned()));
        assert!(exchange("amq.topic").is_err() && queue("amq.gen-1").is_err());
        assert!(exchange("").is_err() && queue("").is_err() && short("").is_err());
        assert!(exchange(&"x".repeat(127)).is_ok() && exchange(&"x".repeat(128)).is_err());
        assert!(short(&"я".repeat(127)).is_ok() && short(&"я".repeat(128)).is_err(), "bytes, not letters");
    }
}
