//! Charges orders, and gives charges back.
#![warn(missing_docs)]

mod config;

use std::net::SocketAddr;

pub use config::Config;
use shop_runtime::{
    Scope, Service,
    http::{Limits, bind_and_serve, router},
};

/// The PostgreSQL schema of this service, and of its outbox.
pub const SCHEMA: &str = "payments";

/// The payment service.
#[derive(Debug)]
pub struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment_service";
    const ABOUT: &'static str = "Charges orders, and gives charges back";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let router = router(axum::Router::new(), &scope, Limits::default());
        bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}
