use std::net::SocketAddr;

use clap::{ArgAction, Args};
use shop_runtime::{
    BusUrl, auth::TokenConfig, config::DatabaseUrl, consumer::ConsumerConfig, seal::LinkConfig,
};
use url::Url;

/// A person needs few; a test may need more.
pub const DEFAULT_GUEST_ORDERS_PER_MINUTE: u32 = 60;

/// Longer than a payment provider is waited for, and shorter than the catalog's reservations last.
pub const DEFAULT_PENDING_TIMEOUT_SECONDS: u32 = 900;

/// The order service's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "ORDER_LISTEN", default_value = "127.0.0.1:8003")]
    pub listen: SocketAddr,
    /// The database: postgresql://… (schema `orders`) or sqlite:…
    #[arg(long, env = "ORDER_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The broker with the events of the other services: amqp://user:password@host:port/vhost
    #[arg(long, env = "ORDER_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: BusUrl,
    /// How the consumer continues traces
    #[command(flatten)]
    pub consumer: ConsumerConfig,
    /// The catalog, which knows the prices, such as http://127.0.0.1:8002
    #[arg(long, env = "ORDER_CATALOG_URL", value_parser = shop_client::parse_address)]
    pub catalog_url: Url,
    /// Whether orders may be placed without a token; a summary of guests' orders is then visible to everybody
    #[arg(long, env = "ORDER_GUEST_CHECKOUT", action = ArgAction::Set, default_value_t = false)]
    pub guest_checkout: bool,
    /// How many orders guests may place per minute for one e-mail address, and ten times as many from one client; 0: no limit
    #[arg(long, env = "ORDER_GUEST_ORDERS_PER_MINUTE", default_value_t = DEFAULT_GUEST_ORDERS_PER_MINUTE)]
    pub guest_orders_per_minute: u32,
    /// After how many seconds an order that is still pending is cancelled; shorter than CATALOG_RESERVATION_SECONDS
    #[arg(
        long,
        env = "ORDER_PENDING_TIMEOUT_SECONDS",
        default_value_t = DEFAULT_PENDING_TIMEOUT_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000)
    )]
    pub pending_timeout_seconds: u32,
    /// How the tokens of guests' orders reach their mails
    #[command(flatten)]
    pub link: LinkConfig,
    /// How tokens are verified
    #[command(flatten)]
    pub tokens: TokenConfig,
}
