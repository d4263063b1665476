use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args};
use secrecy::SecretString;
use shop_core::Email;
use shop_runtime::{consumer::ConsumerConfig, http::HttpConfig};
use url::Url;

/// The longest time-out that the services take, in seconds.
const MONTH: i64 = 30 * 24 * 3600;

/// The settings; everything has a default.
#[derive(Args, Clone, Debug)]
pub(crate) struct Config {
    /// Where databases, the event bus, mails and secrets are kept; created at the first start, and safe to delete
    #[arg(long, env = "SHOP_DATA_DIR", default_value = ".shop")]
    pub(crate) data_dir: PathBuf,
    /// Whether orders may be placed without an account, as the documentation's examples do
    #[arg(long, env = "ORDER_GUEST_CHECKOUT", default_value_t = true, action = ArgAction::Set)]
    pub(crate) guest_checkout: bool,
    /// How many orders per minute may be placed for one e-mail address without an account; 0: no limit
    #[arg(long, env = "ORDER_GUEST_ORDERS_PER_MINUTE", default_value_t = order::DEFAULT_GUEST_ORDERS_PER_MINUTE)]
    pub(crate) guest_orders_per_minute: u32,
    /// When an order that is neither confirmed nor cancelled is cancelled, in seconds
    #[arg(
        long,
        env = "ORDER_PENDING_TIMEOUT_SECONDS",
        default_value_t = order::DEFAULT_PENDING_TIMEOUT_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=MONTH)
    )]
    pub(crate) pending_timeout_seconds: u32,
    /// How long what was ordered stays reserved, in seconds; longer than an order may be pending
    #[arg(
        long,
        env = "CATALOG_RESERVATION_SECONDS",
        default_value_t = catalog::DEFAULT_RESERVATION_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=MONTH)
    )]
    pub(crate) reservation_seconds: u32,
    /// The payment provider, which charges nobody
    #[command(flatten)]
    pub(crate) simulated: payment::SimulatedConfig,
    /// How consumers continue traces
    #[command(flatten)]
    pub(crate) consumer: ConsumerConfig,
    /// Where a trace is shown, such as http://localhost:16686/trace/{trace_id}; the storefront's orders lead there
    #[arg(long, env = "WEB_TRACE_URL")]
    pub(crate) trace_url: Option<web::TraceUrl>,
    /// The account that manages the shop; its password is generated at the first start and kept in the data folder's secrets.json
    #[arg(long, env = "AUTH_ADMIN_EMAIL", default_value = "admin@example.com")]
    pub(crate) admin_email: Email,
    /// The bot's token from @BotFather; without it the bot is off
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true, help_heading = "Telegram")]
    pub(crate) telegram_token: Option<SecretString>,
    /// The Bot API's address
    #[arg(
        long,
        env = "TELEGRAM_API_URL",
        default_value = "https://api.telegram.org",
        help_heading = "Telegram"
    )]
    pub(crate) telegram_api: Url,
    /// Where the accounts' API listens
    #[arg(long, env = "AUTH_LISTEN", default_value = "127.0.0.1:8001", help_heading = "Addresses")]
    pub(crate) auth: SocketAddr,
    /// Where the catalog's API listens
    #[arg(long, env = "CATALOG_LISTEN", default_value = "127.0.0.1:8002", help_heading = "Addresses")]
    pub(crate) catalog: SocketAddr,
    /// Where the orders' API listens
    #[arg(long, env = "ORDER_LISTEN", default_value = "127.0.0.1:8003", help_heading = "Addresses")]
    pub(crate) order: SocketAddr,
    /// Where the payments' API listens
    #[arg(long, env = "PAYMENT_LISTEN", default_value = "127.0.0.1:8004", help_heading = "Addresses")]
    pub(crate) payment: SocketAddr,
    /// Where the notifications' API listens, which has the page with the mails
    #[arg(long, env = "NOTIFICATION_LISTEN", default_value = "127.0.0.1:8005", help_heading = "Addresses")]
    pub(crate) notification: SocketAddr,
    /// Where the storefront listens
    #[arg(long, env = "WEB_LISTEN", default_value = "127.0.0.1:8080", help_heading = "Addresses")]
    pub(crate) web: SocketAddr,
    /// Where the outboxes' publisher serves health and metrics
    #[arg(long, env = "OUTBOX_LISTEN", default_value = "127.0.0.1:8081", help_heading = "Addresses")]
    pub(crate) outbox: SocketAddr,
    /// Where the bot serves health and metrics
    #[arg(long, env = "TELEGRAM_LISTEN", default_value = "127.0.0.1:8006", help_heading = "Addresses")]
    pub(crate) telegram: SocketAddr,
    /// `PROBE_LISTEN` moves the storefront's probes; the other services keep theirs on their own ports.
    #[command(flatten)]
    pub(crate) http: HttpConfig,
}
