use std::net::SocketAddr;

use clap::Args;
use shop_client::parse_address;
use shop_runtime::config::{RedisUrl, SecretString};
use url::Url;

/// The bot's environment variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telegram bot")]
pub struct Config {
    /// Where to answer health checks
    #[arg(long, env = "TELEGRAM_LISTEN", default_value = "127.0.0.1:8006")]
    pub listen: SocketAddr,
    /// The bot's token, from @BotFather; unset: the bot is off, and everything else works
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true)]
    pub bot_token: Option<SecretString>,
    /// Where the Bot API is
    #[arg(long, env = "TELEGRAM_API_URL", default_value = "https://api.telegram.org", value_parser = parse_address)]
    pub api_url: Url,
    /// Where auth_service is
    #[arg(long, env = "TELEGRAM_AUTH_URL", default_value = "http://127.0.0.1:8001", value_parser = parse_address)]
    pub auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "TELEGRAM_CATALOG_URL", default_value = "http://127.0.0.1:8002", value_parser = parse_address)]
    pub catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "TELEGRAM_ORDER_URL", default_value = "http://127.0.0.1:8003", value_parser = parse_address)]
    pub order_url: Url,
    /// Where notification_service is; unset: logging in does not make it write to the chat
    #[arg(long, env = "TELEGRAM_NOTIFICATION_URL", value_parser = parse_address)]
    pub notification_url: Option<Url>,
    /// Where sessions are kept: redis://…, rediss://…, or `memory:` for this process alone
    #[arg(long, env = "TELEGRAM_REDIS_URL", default_value = "memory:", hide_env_values = true)]
    pub redis_url: RedisUrl,
}
