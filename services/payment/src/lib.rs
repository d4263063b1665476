//! The payment service: charges an order when its stock is reserved, and gives the charge back when the order is cancelled.
//!
//! An event opens a payment; a worker makes the calls to the provider, outside every transaction. An outcome that is not known is asked
//! about, and never repeated blindly (docs/adr/0030). What became of a payment is announced through the outbox, in the transaction that records it.
#![warn(missing_docs)]

mod app;
mod config;
mod consumer;
mod domain;
mod metrics;
mod migration;
mod provider;
mod routes;
mod signature;
mod span;
mod store;
mod tools;
mod worker;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use config::{
    Config, DEFAULT_CALL_TIMEOUT_MS, DEFAULT_GIVE_UP_SECONDS, ProviderKind, SimulatedConfig, StripeConfig,
};
use shop_messaging::{Broker, Subscription};
use shop_runtime::{
    Bus, Lifecycle, Scope, Service,
    auth::TokenVerifier,
    consumer::{self as runtime, Consumes as _},
    database,
    health::Health,
    http::{self, ApiDoc, Limits},
};
use tokio::sync::Notify;
pub use tools::Tool;

use crate::{
    app::App,
    consumer::Context,
    domain::{Breaker, BreakerState},
    metrics::Metrics,
    migration::Migrator,
    provider::Opened,
    store::Store,
    worker::Worker,
};

/// The schema of the payment service's tables on PostgreSQL; the outbox's publisher reads it too.
pub const SCHEMA: &str = "payments";

/// The payment service.
#[derive(Debug)]
pub struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment_service";
    const ABOUT: &'static str = "Charges orders, and gives charges back";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let webhook_key = config.webhook_key()?;
        let broker = scope.bus.open(&config.rabbitmq_url)?;
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        let Opened { provider, books } = provider::open(&config, webhook_key.as_ref(), &database, &scope)?;
        let (breaker, wake) = (Breaker::default(), Arc::new(Notify::new()));
        let metrics = Metrics::register(&scope.metrics, &breaker);
        let store = Store::new(database.clone(), scope.clock.clone());
        uses_provider(&scope.health, &breaker);
        forget_cancelled_orders(store.clone(), &scope.lifecycle);
        let context = Context {
            provider: provider.name(),
            patience: config.patience(),
            clock: scope.clock.clone(),
            metrics: metrics.clone(),
            wake: wake.clone(),
        };
        let subscription = consumer::subscription(Self::QUEUE);
        let consumer = consumer::consumer(broker, subscription, database, &config.consumer, context)?;
        runtime::run(consumer, &scope);
        let app = App {
            store: store.clone(),
            tokens,
            provider: provider.name(),
            books,
            webhook_key,
            clock: scope.clock.clone(),
            metrics: metrics.clone(),
            wake: wake.clone(),
        };
        let worker = Worker {
            store,
            provider,
            breaker,
            call_timeout: Duration::from_millis(config.call_timeout_ms.into()),
            clock: scope.clock.clone(),
            metrics,
            wake,
        };
        let stopping = scope.lifecycle.stopping();
        scope.lifecycle.spawn("payments", async move {
            worker.run(stopping).await;
            Ok(())
        });
        let router = http::router(routes::described().with_state(app), &scope, Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        database::migrated::<Migrator>(&config.database_url, SCHEMA).await.map(drop)
    }

    fn bus(config: &Config, bus: &Bus) -> anyhow::Result<Option<Broker>> {
        bus.open(&config.rabbitmq_url).map(Some)
    }

    fn subscriptions(_config: &Config) -> Vec<Subscription> {
        vec![consumer::subscription(Self::QUEUE)]
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
}

/// Payments are opened and listed while the provider is away, so only the database is required.
fn uses_provider(health: &Health, breaker: &Breaker) {
    let breaker = breaker.clone();
    health.uses("payment provider", move || {
        let state = breaker.state();
        async move {
            anyhow::ensure!(
                state == BreakerState::Closed,
                "it does not answer, and is called only now and then"
            );
            Ok(())
        }
    });
}

fn forget_cancelled_orders(store: Store, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn("forget cancelled orders", async move {
        let mut ticks = tokio::time::interval(store::FORGET_INTERVAL);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            match store.forget_cancelled_orders().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "forgot cancelled orders that never had a payment"),
                // It is tried again next round; if the database is away, whoever needs it reports it.
                Err(error) => tracing::warn!(%error, "cancelled orders could not be forgotten"),
            }
        }
        Ok(())
    });
}
