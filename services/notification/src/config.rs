use std::net::SocketAddr;

use clap::{ArgAction, Args};
use shop_runtime::{
    BusUrl,
    auth::TokenConfig,
    config::{DatabaseUrl, SecretString},
    consumer::ConsumerConfig,
    seal::LinkConfig,
};
use url::{ParseError, Url};

use crate::mail::{MailUrl, Sender};

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
    /// Where mails go: `smtp://user:password@host:port` (with STARTTLS), `smtps://…` (TLS from the start), or `folder:<path>`; `?tls=none`
    /// is for a mail catcher, `?ca=<file>` for a certificate authority of your own
    #[arg(long, env = "NOTIFICATION_MAIL_URL", hide_env_values = true)]
    pub mail_url: MailUrl,
    /// Who mails are from: `shop@example.com`, or `Shop <shop@example.com>`
    #[arg(long, env = "NOTIFICATION_MAIL_FROM")]
    pub mail_from: Sender,
    /// The storefront as customers reach it, for the links in mails
    #[arg(long, env = "NOTIFICATION_SHOP_URL", default_value = "http://localhost:8080", value_parser = web_address)]
    pub shop_url: Url,
    /// `true`: mails in a folder can be read at /mailbox, by everybody who can reach this service; for demonstrations
    #[arg(long, env = "NOTIFICATION_MAILBOX", action = ArgAction::Set, default_value_t = false)]
    pub mailbox: bool,
    /// The token of the shop's Telegram bot; unset: nobody is written to there
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true)]
    pub bot_token: Option<SecretString>,
    /// Where the Bot API is
    #[arg(long, env = "TELEGRAM_API_URL", default_value = "https://api.telegram.org", value_parser = web_address)]
    pub telegram_api: Url,
    /// The links to guests' orders.
    #[command(flatten)]
    pub link: LinkConfig,
    /// How events are consumed.
    #[command(flatten)]
    pub consumer: ConsumerConfig,
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
}

/// An `http` or `https` address to which paths can be added.
fn web_address(text: &str) -> Result<Url, String> {
    let address: Url = text.parse().map_err(|error: ParseError| error.to_string())?;
    let is_plain = matches!(address.scheme(), "http" | "https")
        && address.query().is_none()
        && address.fragment().is_none()
        && address.username().is_empty()
        && address.password().is_none();
    if is_plain {
        Ok(address)
    } else {
        Err("an address such as https://shop.example.com is needed".to_owned())
    }
}
