use std::net::SocketAddr;

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::{ArgAction, Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use shop_client::parse_address;
use shop_runtime::{
    BusUrl,
    auth::TokenConfig,
    config::{DatabaseUrl, Secret},
    consumer::ConsumerConfig,
};
use url::Url;

use crate::signature::WebhookKey;

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
    /// How events are consumed.
    #[command(flatten)]
    pub consumer: ConsumerConfig,
    /// How callers are identified.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// Who charges the customers
    #[arg(long, env = "PAYMENT_PROVIDER", value_enum, default_value_t)]
    pub provider: ProviderKind,
    /// The secret with which the provider signs its webhooks, at least 32 bytes; without it they are refused
    #[arg(long, env = "PAYMENT_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<SecretString>,
    /// For how long a charge is tried before the order is told that it failed, in seconds: 1 to 86400. It also ends with the reservation
    #[arg(
        long,
        env = "PAYMENT_GIVE_UP_SECONDS",
        default_value_t = DEFAULT_GIVE_UP_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub give_up_seconds: u32,
    /// How long one call to the provider may take, in milliseconds: 100 to 20000
    #[arg(
        long,
        env = "PAYMENT_CALL_TIMEOUT_MS",
        default_value_t = DEFAULT_CALL_TIMEOUT_MS,
        value_parser = clap::value_parser!(u32).range(100..=20_000)
    )]
    pub call_timeout_ms: u32,
    /// The simulated provider.
    #[command(flatten)]
    pub simulated: SimulatedConfig,
    /// Stripe.
    #[command(flatten)]
    pub stripe: StripeConfig,
}

/// Ten minutes: less than an order waits.
pub const DEFAULT_GIVE_UP_SECONDS: u32 = 600;
/// Five seconds.
pub const DEFAULT_CALL_TIMEOUT_MS: u32 = 5000;

/// Who charges the customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProviderKind {
    /// Nobody: the built-in provider moves no money, and its outcomes are chosen by test amounts (docs/payments.md)
    #[default]
    Simulated,
    /// Stripe's PaymentIntents
    Stripe,
}

/// The variables of the simulated provider.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Simulated provider")]
pub struct SimulatedConfig {
    /// How long each of its calls takes, in milliseconds
    #[arg(id = "simulated-delay-ms", long, env = "PAYMENT_SIMULATED_DELAY_MS", default_value_t = 0)]
    pub delay_ms: u32,
    /// `true`: it refuses all calls
    #[arg(
        id = "simulated-outage",
        long,
        env = "PAYMENT_SIMULATED_OUTAGE",
        action = ArgAction::Set,
        default_value_t = false
    )]
    pub outage: bool,
    /// Where it sends its webhooks, such as http://127.0.0.1:8004/webhooks/simulated; unset: it sends none
    #[arg(id = "simulated-webhook-url", long, env = "PAYMENT_SIMULATED_WEBHOOK_URL", value_parser = parse_address)]
    pub webhook_url: Option<Url>,
}

/// The variables of Stripe.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stripe")]
pub struct StripeConfig {
    /// The secret key: sk_… or, better, a restricted one, rk_…
    #[arg(id = "stripe-secret-key", long, env = "PAYMENT_STRIPE_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<SecretString>,
    /// Where its API is
    #[arg(
        id = "stripe-url",
        long,
        env = "PAYMENT_STRIPE_URL",
        default_value = STRIPE_URL,
        value_parser = parse_address
    )]
    pub url: Url,
    /// The payment method that is charged. The shop has no page to enter a card, so there is one for all orders
    #[arg(id = "stripe-method", long, env = "PAYMENT_STRIPE_METHOD", default_value = STRIPE_METHOD)]
    pub method: String,
}

const STRIPE_URL: &str = "https://api.stripe.com";
/// Stripe's test card that is always charged.
const STRIPE_METHOD: &str = "pm_card_visa";

impl Default for StripeConfig {
    fn default() -> Self {
        let url = parse_address(STRIPE_URL).unwrap_or_else(|error| unreachable!("{STRIPE_URL}: {error}"));
        Self { secret_key: None, url, method: STRIPE_METHOD.to_owned() }
    }
}

/// HMAC-SHA256 with a key that is shorter than its output is weaker than it could be (RFC 2104).
const WEBHOOK_SECRET: Secret = Secret {
    variable: "PAYMENT_WEBHOOK_SECRET",
    example: Some("change_me_webhook"),
    least: Some((32, "as long as an HMAC-SHA256")),
};

impl Config {
    /// What verifies webhooks, if there is a secret.
    pub(crate) fn webhook_key(&self) -> anyhow::Result<Option<WebhookKey>> {
        let Some(secret) = &self.webhook_secret else { return Ok(None) };
        WEBHOOK_SECRET.check(secret, self.tokens.demo)?;
        Ok(Some(WebhookKey::new(secret.expose_secret())))
    }

    pub(crate) fn patience(&self) -> TimeDelta {
        TimeDelta::seconds(self.give_up_seconds.into())
    }
}

impl StripeConfig {
    /// The key, without which Stripe cannot be used.
    pub(crate) fn required_key(&self) -> anyhow::Result<&SecretString> {
        self.secret_key.as_ref().context("PAYMENT_STRIPE_SECRET_KEY must be set for PAYMENT_PROVIDER=stripe")
    }
}
