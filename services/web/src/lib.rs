//! The storefront: server-rendered pages over the HTTP interfaces of auth, catalog and order.
//!
//! It stores nothing: who a visitor is and what is in the cart are in encrypted cookies, so any replica can answer any request.
//! Every page works without JavaScript.
#![warn(missing_docs)]

mod app;
mod assets;
mod cart;
mod config;
mod failure;
mod flash;
mod form;
mod forwarded;
mod i18n;
mod layer;
mod local_path;
mod origin;
mod page;
mod picture;
mod routes;
mod session;
mod streams;
mod trace_url;
mod visitor;

use std::{net::SocketAddr, time::Duration};

use axum::middleware;
pub use config::Config;
use shop_runtime::{
    Scope, Service,
    http::{Limits, Routers, bind_and_serve, router},
};

use crate::app::App;
pub use crate::trace_url::{NotATraceUrl, TraceUrl};

/// The storefront as the `shop` binary and `main.rs` host it.
#[derive(Debug)]
pub struct Web;

/// In bytes. The largest form is the checkout of a full cart, at about 2 KiB.
const LARGEST_FORM: usize = 16 * 1024;

impl Service for Web {
    const NAME: &'static str = "web_app";
    const ABOUT: &'static str = "The storefront: home, catalog, cart and orders";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let app = App::new(&config, &scope)?;
        bind_and_serve(config.listen, routers(&app, &scope), &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}

fn routers(app: &App, scope: &Scope) -> Routers {
    // All three are optional: when one of them is unavailable, the storefront still answers, with a page that says so.
    for upstream in app.upstreams() {
        let upstream = upstream.clone();
        scope.health.uses(upstream.name(), move || {
            let upstream = upstream.clone();
            async move { Ok(upstream.ping().await?) }
        });
    }
    let limits = Limits { body: LARGEST_FORM, time: Duration::from_secs(20), ..Limits::default() };
    // Outermost, so that the runtime's own refusals (no such path, too many requests, a panic) become pages too.
    router(routes::routes(app.clone()), scope, limits)
        .wrap_api(|api| api.layer(middleware::from_fn_with_state(app.clone(), layer::receive)))
}
