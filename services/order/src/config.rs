use std::net::SocketAddr;

use clap::{ArgAction, Args};
use shop_runtime::{auth::TokenConfig, config::DatabaseUrl};
use url::Url;

/// A person needs few; a test may need more.
pub const DEFAULT_GUEST_ORDERS_PER_MINUTE: u32 = 60;

/// The order service's environment variables.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "ORDER_LISTEN", default_value = "127.0.0.1:8003")]
    pub listen: SocketAddr,
    /// The database: postgresql://… (schema `orders`) or sqlite:…
    #[arg(long, env = "ORDER_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// The catalog, which knows the prices, such as http://127.0.0.1:8002
    #[arg(long, env = "ORDER_CATALOG_URL", value_parser = shop_client::parse_address)]
    pub catalog_url: Url,
    /// Whether orders may be placed without a token; a summary of guests' orders is then visible to everybody
    #[arg(long, env = "ORDER_GUEST_CHECKOUT", action = ArgAction::Set, default_value_t = false)]
    pub guest_checkout: bool,
    /// How many orders guests may place per minute for one e-mail address, and ten times as many from one client; 0: no limit
    #[arg(long, env = "ORDER_GUEST_ORDERS_PER_MINUTE", default_value_t = DEFAULT_GUEST_ORDERS_PER_MINUTE)]
    pub guest_orders_per_minute: u32,
    /// How tokens are verified
    #[command(flatten)]
    pub tokens: TokenConfig,
}
