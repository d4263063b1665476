use std::net::SocketAddr;

use clap::Args;
use shop_runtime::{BusUrl, auth::TokenConfig, config::DatabaseUrl};

/// The payment service's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "PAYMENT_LISTEN", default_value = "127.0.0.1:8004")]
    pub listen: SocketAddr,
    /// The database: postgresql://… (schema `payments`) or sqlite:…
    #[arg(long, env = "PAYMENT_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The broker: amqp:// or amqps://
    #[arg(long, env = "PAYMENT_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
}
