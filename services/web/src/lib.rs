//! The storefront: server-rendered pages over the HTTP interfaces of auth, catalog and order.
//!
//! It keeps nothing of its own: who a visitor is and what is in the cart travel in encrypted cookies, so any replica
//! answers any request. Every page works without JavaScript.
#![warn(missing_docs)]

mod cart;
mod clients;
mod config;
mod form;
mod forwarded;
mod i18n;
mod local_path;
mod origin;
mod page;
mod routes;
mod session;
mod state;
mod visitor;

use std::{net::SocketAddr, time::Duration};

use axum::middleware;
pub use config::Config;
use shop_runtime::{
    Scope, Service,
    http::{Limits, Routers, bind_and_serve, router},
};
use state::AppState;

/// The storefront as the `shop` binary and `main.rs` host it.
#[derive(Debug)]
pub struct Web;

/// A form is small; the largest is a full cart's checkout, at about 2 KiB.
const LARGEST_FORM: usize = 16 * 1024;

impl Service for Web {
    const NAME: &'static str = "web_app";
    const ABOUT: &'static str = "The storefront: home, catalog, cart and orders";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let state = AppState::new(&config, scope.clock.clone())?;
        bind_and_serve(config.listen, app(&state, &scope), &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}

fn app(state: &AppState, scope: &Scope) -> Routers {
    // Optional, all three: with one of them away the storefront still answers, with a page that says so.
    for upstream in state.upstreams() {
        let name = upstream.name();
        scope.health.uses(name, move || {
            let upstream = upstream.clone();
            async move { upstream.ping().await }
        });
    }
    let limits = Limits { body: LARGEST_FORM, time: Duration::from_secs(20), ..Limits::default() };
    // Outermost, so that the runtime's own refusals (no such path, too many requests, a panic) become pages too.
    router(routes::routes(state.clone()), scope, limits)
        .wrap_api(|api| api.layer(middleware::from_fn_with_state(state.clone(), visitor::receive)))
}
