//! The storefront as a browser meets it, over HTTP, with small services behind it that speak the real contracts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod browser;
mod catalog;
mod checkout;
mod guest;
mod life;
mod locks;
mod tabs;
mod upstream;
mod words;

use shop_core::Clock;
use shop_runtime::{Lifecycle, Scope, Service as _, config::Demo};

use crate::{browser::Browser, upstream::Upstreams};

/// The storefront, and what is behind it.
struct Shop {
    upstreams: Upstreams,
    clock: Clock,
    address: String,
    lifecycle: Lifecycle,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut web::Config)) -> Self {
        let upstreams = Upstreams::start().await;
        let clock = Clock::manual("2026-11-23T12:00:00Z".parse().unwrap());
        let mut config = web::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            session_secret: "a secret of the tests, long enough for anybody".to_owned().into(),
            auth_url: upstreams.auth.url(),
            catalog_url: upstreams.catalog.url(),
            order_url: upstreams.order.url(),
            trust_proxy: false,
            trace_url: None,
            demo: Demo::default(),
        };
        change(&mut config);
        let lifecycle = Lifecycle::new();
        let scope = Scope { clock: clock.clone(), ..Scope::new(web::Web::NAME, &lifecycle) };
        let address = web::Web::start(config, scope).await.unwrap();
        Self { upstreams, clock, address: format!("http://{address}"), lifecycle }
    }

    /// Somebody who reads English and has never been here.
    fn browser(&self) -> Browser {
        Browser::new(&self.address)
    }

    /// Somebody who has logged in.
    async fn customer(&self) -> Browser {
        self.logged_in("user@example.com").await
    }

    async fn logged_in(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        browser.get("/login").await;
        let answer = browser.submit("/login", &[("email", email), ("password", "password123")]).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }
}
