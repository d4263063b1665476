use std::net::SocketAddr;

use clap::{ArgAction, Args};
use shop_runtime::{auth::TokenConfig, config::DatabaseUrl};
use url::Url;

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
    #[arg(long, env = "ORDER_CATALOG_URL")]
    pub catalog_url: Url,
    /// Whether orders may be placed without a token; everybody then sees, and may cancel, the orders of guests
    #[arg(long, env = "ORDER_GUEST_CHECKOUT", action = ArgAction::Set, default_value_t = false)]
    pub guest_checkout: bool,
    /// How tokens are verified
    #[command(flatten)]
    pub tokens: TokenConfig,
}
