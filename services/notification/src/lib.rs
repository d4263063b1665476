//! Writes to customers about their orders.
#![warn(missing_docs)]

mod config;

use std::net::SocketAddr;

pub use config::Config;
use shop_runtime::{
    Scope, Service,
    http::{Limits, bind_and_serve, router},
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
        let router = router(axum::Router::new(), &scope, Limits::default());
        bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}
