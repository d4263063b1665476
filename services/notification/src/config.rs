use std::net::SocketAddr;

use clap::Args;
use shop_runtime::{BusUrl, auth::TokenConfig, config::DatabaseUrl};

/// The notification service's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "NOTIFICATION_LISTEN", default_value = "127.0.0.1:8005")]
    pub listen: SocketAddr,
    /// The database: postgresql://… (schema `notifications`) or sqlite:…
    #[arg(long, env = "NOTIFICATION_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The broker: amqp:// or amqps://
    #[arg(long, env = "NOTIFICATION_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
}
