use std::net::SocketAddr;

use clap::Args;
use shop_runtime::{
    auth::TokenConfig,
    config::{DatabaseUrl, RedisUrl},
};

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
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
}
