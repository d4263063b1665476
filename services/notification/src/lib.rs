//! The notification service: tells customers what happens to their orders, by mail and in Telegram.
//!
//! It consumes the events of orders and payments. Each channel has a queue of its own, so that a mail server that is away keeps no message
//! from Telegram, and a message that is tried again on one channel is not repeated on the other.
#![warn(missing_docs)]

mod app;
mod config;
mod domain;
mod handlers;
mod mail;
mod metrics;
mod migration;
mod routes;
mod store;
mod telegram;
mod tools;
mod words;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
pub use config::Config;
pub use mail::{InvalidMailUrl, InvalidSender, MailUrl, Sender};
use shop_messaging::{Broker, Subscription};
use shop_runtime::{
    Bus, Lifecycle, Scope, Service,
    auth::TokenVerifier,
    config::SecretString,
    consumer::{Consumer, run_all},
    database,
    http::{self, ApiDoc, Limits},
};
pub use tools::Tool;

use crate::{
    app::{App, BotProofs},
    domain::{Channel, Links},
    handlers::{Chats, Desk, Mails, handled_by, subscription},
    mail::Post,
    metrics::Metrics,
    migration::Migrator,
    store::Store,
    telegram::BotApi,
};

/// The PostgreSQL schema of this service.
pub const SCHEMA: &str = "notifications";

/// The notification service.
#[derive(Debug)]
pub struct Notification;

impl Service for Notification {
    const NAME: &'static str = "notification_service";
    const ABOUT: &'static str = "Writes to customers about their orders";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let links = Links::new(config.shop_url.clone(), config.link.envelope(config.tokens.demo)?);
        let post = Arc::new(Post::open(&config.mail_url, &config.mail_from)?);
        let mailbox = mailbox(&config, &post)?;
        let broker = scope.bus.open(&config.rabbitmq_url)?;
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        let store = Store::new(database.clone(), scope.clock.clone());
        uses_post(&post, &scope);
        retire(store.clone(), &scope.lifecycle);

        let options = config.consumer.options();
        let consumer =
            |channel| Consumer::new(broker.clone(), database.clone(), subscription(channel), options.clone());
        let metrics = Metrics::register(&scope.metrics);
        let mails = Mails { post, sender: config.mail_from.clone(), clock: scope.clock.clone() };
        let mails = Arc::new(Desk::new(mails, store.clone(), links.clone(), metrics.clone()));
        let mut consumers = vec![handled_by(&mails, consumer(Channel::Email))?];
        if let Some(token) = bot_token(&config) {
            let chats = Chats(BotApi::new(&config.telegram_api, token)?);
            let chats = Arc::new(Desk::new(chats, store.clone(), links, metrics));
            consumers.push(handled_by(&chats, consumer(Channel::Telegram))?);
        } else if config.bot_token.is_some() {
            tracing::warn!(
                "nobody is written to in Telegram: without ORDER_LINK_SECRET, a guest's order looks like an account's"
            );
        }
        run_all(consumers, &scope);

        let app = App { store, tokens, bot: bot_token(&config).map(BotProofs::new), mailbox };
        let router = http::router(routes::all(app), &scope, Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        database::migrated::<Migrator>(&config.database_url, SCHEMA).await.map(drop)
    }

    fn bus(config: &Config, bus: &Bus) -> anyhow::Result<Option<Broker>> {
        bus.open(&config.rabbitmq_url).map(Some)
    }

    fn subscriptions(config: &Config) -> Vec<Subscription> {
        let telegram = bot_token(config).map(|_| subscription(Channel::Telegram));
        std::iter::once(subscription(Channel::Email)).chain(telegram).collect()
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
}

/// The bot's token, if customers are written to in Telegram. The secret that seals guests' tokens also tells guests' orders from
/// accounts', and a guest's order must not be told to whoever has an account with that address.
fn bot_token(config: &Config) -> Option<&SecretString> {
    config.bot_token.as_ref().filter(|_| config.link.secret.is_some())
}

/// The folder whose mails can be read, if that is asked for.
fn mailbox(config: &Config, post: &Post) -> anyhow::Result<Option<mail::Folder>> {
    if !config.mailbox {
        return Ok(None);
    }
    let Post::Folder(folder) = post else {
        anyhow::bail!("NOTIFICATION_MAILBOX=true needs NOTIFICATION_MAIL_URL=folder:<path>");
    };
    Ok(Some(folder.clone()))
}

/// Mails wait in the queue while their server is away, so it is not required.
fn uses_post(post: &Arc<Post>, scope: &Scope) {
    let post = Arc::clone(post);
    scope.health.uses("mail", move || {
        let post = Arc::clone(&post);
        async move { post.check().await.context("where mails go") }
    });
}

fn retire(store: Store, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn("retire notifications", async move {
        let mut ticks = tokio::time::interval(store::ROUND);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            match store.retire().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "retired orders and notifications"),
                // It is tried again next round; the handlers report a database that is away.
                Err(error) => tracing::warn!(%error, "notifications could not be retired"),
            }
        }
        Ok(())
    });
}
