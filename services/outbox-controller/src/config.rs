use std::{net::SocketAddr, time::Duration};

use clap::Args;
use shop_core::events::EXCHANGE;
use shop_runtime::{BusUrl, config::DatabaseUrl};

/// Where the outbox is: all that the tools need.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// The database that the outbox is in
    #[arg(long, env = "OUTBOX_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The schema that the outbox is in (PostgreSQL)
    #[arg(long, env = "OUTBOX_SCHEMA", default_value = "orders")]
    pub schema: String,
}

/// The most bytes that AMQP carries in a name.
pub(crate) const SHORT: usize = 255;

/// Whether the broker keeps this name of an exchange or a queue for itself.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with("amq.")
}

/// The name of the publishers' fence has it in it, with more.
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
    /// Where to answer /health, /livez, /readyz and /metrics
    #[arg(long, env = "OUTBOX_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// The outbox
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// The broker: amqp:// or amqps://
    #[arg(long, env = "OUTBOX_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// The topic exchange to publish to; it is declared
    #[arg(long, env = "OUTBOX_EXCHANGE", default_value = EXCHANGE, value_parser = exchange)]
    pub exchange: String,
    /// A queue that keeps the last 10,000 of all events; `none` for none (events that no queue takes then
    /// become dead)
    #[arg(long, env = "OUTBOX_EVENT_LOG", default_value = "shop_events.log", value_parser = queue)]
    pub event_log: String,
    /// Who publishes: the AMQP app_id
    #[arg(long, env = "OUTBOX_APP_ID", default_value = "order_service", value_parser = short)]
    pub app_id: String,
    /// Messages that may be unconfirmed or unmarked at once: the most that a crash can duplicate
    #[arg(long, env = "OUTBOX_IN_FLIGHT", default_value_t = 400, value_parser = clap::value_parser!(u16).range(2..=2000))]
    pub in_flight: u16,
    /// How often an idle publisher looks by itself, in milliseconds; commits wake it without
    #[arg(long, env = "OUTBOX_POLL_INTERVAL_MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(5..=60_000))]
    pub poll_interval_ms: u32,
    /// How long the lease lasts without renewal, in seconds: the longest gap after a crash
    #[arg(long, env = "OUTBOX_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=300))]
    pub lease_seconds: u16,
    /// How long the broker may take to confirm a window, in seconds
    #[arg(long, env = "OUTBOX_PUBLISH_DEADLINE_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub publish_deadline_seconds: u16,
    /// How often a message that the broker refuses is tried before it is dead
    #[arg(long, env = "OUTBOX_MAX_ATTEMPTS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_attempts: u32,
    /// How long sent rows are kept, in hours; 0: for ever
    #[arg(long, env = "OUTBOX_RETENTION_HOURS", default_value_t = 168)]
    pub retention_hours: u32,
}

impl Config {
    /// Listening on `listen`, with the outbox in `database_url` and a broker inside the process: short intervals,
    /// because nothing but a poll wakes it there.
    pub fn embedded(listen: SocketAddr, database_url: DatabaseUrl) -> Self {
        Self {
            listen,
            database: DatabaseConfig { database_url, schema: "orders".to_owned() },
            rabbitmq_url: BusUrl::EMBEDDED,
            exchange: EXCHANGE.to_owned(),
            event_log: "shop_events.log".to_owned(),
            app_id: "order_service".to_owned(),
            in_flight: 400,
            poll_interval_ms: 50,
            lease_seconds: 3,
            publish_deadline_seconds: 10,
            max_attempts: 10,
            retention_hours: 168,
        }
    }

    /// The library's options, for a publisher known as `holder`.
    pub(crate) fn options(&self, holder: String) -> shop_outbox::Options {
        let mut options = shop_outbox::Options::new(holder, self.app_id.clone());
        options.batch_size = usize::from(self.in_flight);
        options.poll_interval = Duration::from_millis(u64::from(self.poll_interval_ms));
        options.lease = Duration::from_secs(u64::from(self.lease_seconds));
        options.publish_deadline = Duration::from_secs(u64::from(self.publish_deadline_seconds));
        options.retry.max_attempts = self.max_attempts;
        options.retention =
            (self.retention_hours > 0).then(|| Duration::from_secs(u64::from(self.retention_hours) * 3600));
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
