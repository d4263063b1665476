use std::net::SocketAddr;

use clap::Args;
use shop_runtime::{
    BusUrl,
    auth::TokenConfig,
    config::{DatabaseUrl, RedisUrl},
    consumer::ConsumerConfig,
};

/// Half an hour: longer than an order stays pending, so that it is the order service that gives up first.
pub const DEFAULT_RESERVATION_SECONDS: u32 = 1800;

/// 30 days.
const MAX_RESERVATION_SECONDS: i64 = 30 * 24 * 3600;

/// The catalog's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "CATALOG_LISTEN", default_value = "127.0.0.1:8002")]
    pub listen: SocketAddr,
    /// The database: postgresql://… or sqlite:…
    #[arg(long, env = "CATALOG_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The cache: redis://… or rediss://… (7 or later), or `memory:` for one inside this process
    #[arg(long, env = "CATALOG_REDIS_URL", hide_env_values = true)]
    pub redis_url: RedisUrl,
    /// The broker that brings the events of orders: amqp://user:password@host:port/vhost
    #[arg(long, env = "CATALOG_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// How long stock is reserved for an order that is not confirmed, in seconds; longer than orders stay pending
    #[arg(
        long,
        env = "CATALOG_RESERVATION_SECONDS",
        default_value_t = DEFAULT_RESERVATION_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=MAX_RESERVATION_SECONDS)
    )]
    pub reservation_seconds: u32,
    /// How messages are handled.
    #[command(flatten)]
    pub consumer: ConsumerConfig,
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
}
