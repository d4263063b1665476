//! How each service is configured in this process.

use anyhow::Context as _;
use catalog::Catalog;
use order::Order;
use outbox_controller::{DatabaseConfig, OutboxConfig};
use payment::Payment;
use shop_runtime::{
    BusUrl, Service,
    auth::TokenConfig,
    config::{DatabaseUrl, Demo, RedisUrl},
    seal::LinkConfig,
};
use url::Url;

use crate::{
    address::{address, at},
    config::Config,
    secrets::Secrets,
};

/// What the services' configurations are made of.
pub(crate) struct Settings {
    config: Config,
    secrets: Secrets,
    tokens: TokenConfig,
    link: LinkConfig,
}

impl Settings {
    pub(crate) fn new(config: Config, secrets: Secrets) -> anyhow::Result<Self> {
        let tokens = TokenConfig {
            jwt_algorithm: shop_runtime::auth::parse_algorithm("HS256").map_err(anyhow::Error::msg)?,
            jwt_secret: Some(secrets.jwt_secret.clone()),
            jwt_public_key: None,
            jwt_other_secret: None,
            jwt_other_public_key: None,
            demo: Demo::default(),
        };
        let link = LinkConfig { secret: Some(secrets.link_secret.clone()) };
        Ok(Self { config, secrets, tokens, link })
    }

    fn database(&self, name: &str) -> anyhow::Result<DatabaseUrl> {
        let file = self.config.data_dir.join(format!("{name}.db"));
        format!("sqlite://{}", file.display()).parse().context("the data folder's path")
    }

    pub(crate) fn auth(&self) -> anyhow::Result<auth::Config> {
        Ok(auth::Config {
            listen: self.config.auth,
            database_url: self.database("auth")?,
            tokens: self.tokens.clone(),
            redis_url: RedisUrl::MEMORY,
            trust_proxy: false,
            password_policy: auth::PasswordPolicy::Basic,
            jwt_private_key: None,
            jwt_expire_minutes: 60,
            admin_email: Some(self.config.admin_email.clone()),
            admin_password: Some(self.secrets.admin_password.clone()),
        })
    }

    pub(crate) fn catalog(&self) -> anyhow::Result<catalog::Config> {
        Ok(catalog::Config {
            listen: self.config.catalog,
            database_url: self.database("catalog")?,
            redis_url: RedisUrl::MEMORY,
            rabbitmq_url: BusUrl::EMBEDDED,
            reservation_seconds: self.config.reservation_seconds,
            consumer: self.config.consumer.clone(),
            tokens: self.tokens.clone(),
        })
    }

    pub(crate) fn order(&self, catalog_url: Url) -> anyhow::Result<order::Config> {
        Ok(order::Config {
            listen: self.config.order,
            database_url: self.database("orders")?,
            rabbitmq_url: BusUrl::EMBEDDED,
            catalog_url,
            guest_checkout: self.config.guest_checkout,
            guest_orders_per_minute: self.config.guest_orders_per_minute,
            pending_timeout_seconds: self.config.pending_timeout_seconds,
            link: self.link.clone(),
            consumer: self.config.consumer.clone(),
            tokens: self.tokens.clone(),
        })
    }

    pub(crate) fn payment(&self) -> anyhow::Result<payment::Config> {
        let mut simulated = self.config.simulated.clone();
        if simulated.webhook_url.is_none() {
            simulated.webhook_url = Some(address(self.config.payment)?.join("/webhooks/simulated")?);
        }
        Ok(payment::Config {
            listen: self.config.payment,
            database_url: self.database("payments")?,
            rabbitmq_url: BusUrl::EMBEDDED,
            provider: payment::ProviderKind::Simulated,
            webhook_secret: Some(self.secrets.webhook_secret.clone()),
            give_up_seconds: payment::DEFAULT_GIVE_UP_SECONDS,
            call_timeout_ms: payment::DEFAULT_CALL_TIMEOUT_MS,
            simulated,
            stripe: payment::StripeConfig::default(),
            consumer: self.config.consumer.clone(),
            tokens: self.tokens.clone(),
        })
    }

    pub(crate) fn notification(&self) -> anyhow::Result<notification::Config> {
        let mails = self.config.data_dir.join("mails");
        Ok(notification::Config {
            listen: self.config.notification,
            database_url: self.database("notifications")?,
            rabbitmq_url: BusUrl::EMBEDDED,
            mail_url: format!("folder:{}", mails.display()).parse().context("the data folder's path")?,
            mail_from: "The shop <shop@example.com>".parse()?,
            shop_url: at(self.config.web).parse()?,
            mailbox: true,
            bot_token: self.config.telegram_token.clone(),
            telegram_api: self.config.telegram_api.clone(),
            link: self.link.clone(),
            consumer: self.config.consumer.clone(),
            tokens: self.tokens.clone(),
        })
    }

    pub(crate) fn web(&self, auth_url: Url, catalog_url: Url, order_url: Url) -> web::Config {
        web::Config {
            listen: self.config.web,
            session_secret: self.secrets.session_secret.clone(),
            auth_url,
            catalog_url,
            order_url,
            trust_proxy: false,
            trace_url: self.config.trace_url.clone(),
            demo: Demo::default(),
        }
    }

    /// `services` are auth, catalog, order and notification.
    pub(crate) fn telegram(&self, services: [Url; 4]) -> telegram::Config {
        let [auth_url, catalog_url, order_url, notification_url] = services;
        telegram::Config {
            listen: self.config.telegram,
            bot_token: self.config.telegram_token.clone(),
            api_url: self.config.telegram_api.clone(),
            auth_url,
            catalog_url,
            order_url,
            notification_url: Some(notification_url),
            redis_url: RedisUrl::MEMORY,
        }
    }

    /// One publisher for each outbox.
    pub(crate) fn outbox(&self) -> anyhow::Result<outbox_controller::Config> {
        let outbox = |name: &'static str, service: &str| -> anyhow::Result<OutboxConfig> {
            let place = DatabaseConfig { database_url: self.database(name)?, schema: name.to_owned() };
            Ok(OutboxConfig::embedded(name, service, place))
        };
        let orders = outbox("orders", Order::NAME)?;
        let others = vec![outbox("catalog", Catalog::NAME)?, outbox("payments", Payment::NAME)?];
        Ok(outbox_controller::Config::embedded(self.config.outbox, orders, others))
    }
}
