//! The Telegram bot: the shop's catalog, accounts and orders, in a chat.
//!
//! Layers, from the outside in: [`receiver`] gets updates, [`handlers`] decide what to do, [`follows`] keep messages about new orders up to
//! date, [`api`], [`shop`] and [`sessions`] talk to the outside world, and [`commands`], [`press`], [`replies`] and [`window`] are pure.
#![warn(missing_docs)]

mod api;
mod commands;
mod config;
mod follows;
mod handlers;
mod metrics;
mod press;
mod receiver;
mod replies;
mod sessions;
mod shop;
mod window;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use shop_runtime::{
    Scope, Service,
    health::Health,
    http::{Limits, bind_and_serve, router},
};
use tokio::sync::watch;

pub use self::config::Config;
use self::{
    api::Api,
    follows::Follows,
    handlers::Handlers,
    metrics::BotMetrics,
    receiver::{Connection, Receiver},
    sessions::Sessions,
    shop::Shop,
};

/// The Telegram bot, as a service.
#[derive(Debug)]
pub struct Telegram;

impl Service for Telegram {
    const NAME: &'static str = "telegram_bot";
    const ABOUT: &'static str = "The shop's Telegram bot";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        if let Some(token) = &config.bot_token {
            let api = Api::new(token, config.api_url.clone())?;
            let shop = Shop::new(&config, token)?;
            config.redis_url.warn();
            let sessions = sessions::open(&config.redis_url, token, scope.clock.clone())?;
            let connection = watch::Sender::new(Err("not connected yet".to_owned()));
            dependencies(&scope.health, &connection, &shop, &sessions);
            run_bot(&scope, api, shop, sessions, connection);
        } else {
            tracing::info!("TELEGRAM_BOT_TOKEN is not set: the bot is off");
        }
        let router = router(Router::new(), &scope, Limits::default());
        bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}

/// None of them makes the bot unready: when one is unavailable, the bot tells people so, and waits.
fn dependencies(health: &Health, connection: &Connection, shop: &Shop, sessions: &Arc<dyn Sessions>) {
    let connection = connection.subscribe();
    let sessions = Arc::clone(sessions);
    health.uses("telegram_api", move || {
        let state = connection.borrow().clone();
        async { state.map_err(anyhow::Error::msg) }
    });
    health.uses("sessions", move || {
        let sessions = Arc::clone(&sessions);
        async move { sessions.ping().await }
    });
    for upstream in shop.upstreams() {
        let upstream = upstream.clone();
        health.uses(upstream.name(), move || {
            let upstream = upstream.clone();
            async move { Ok(upstream.ping().await?) }
        });
    }
}

fn run_bot(scope: &Scope, api: Api, shop: Shop, sessions: Arc<dyn Sessions>, connection: Connection) {
    let (lifecycle, clock) = (scope.lifecycle.clone(), scope.clock.clone());
    let metrics = BotMetrics::new(&scope.metrics);
    scope.lifecycle.spawn("bot", async move {
        if let Some(me) = receiver::connect(&api, &connection, &lifecycle.stopping()).await {
            let follows = Follows::new(api.clone(), shop.orders.clone(), lifecycle.clone());
            let handlers = Handlers::new(api.clone(), me, shop, sessions, follows, clock);
            Receiver::new(api, handlers, connection, metrics).run(&lifecycle).await;
        }
        Ok(())
    });
}
