use shop_client::{Auth, Catalog, Notifications, Orders, Upstream};
use shop_runtime::config::SecretString;

use crate::config::Config;

/// The shop's services.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) auth: Auth,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
    /// `None`: the shop pushes no news to chats.
    pub(crate) notifications: Option<Notifications>,
}

impl Shop {
    pub(crate) fn new(config: &Config, bot_token: &SecretString) -> anyhow::Result<Self> {
        let http = shop_client::http()?;
        Ok(Self {
            auth: Auth::new(&config.auth_url, &http),
            catalog: Catalog::new(&config.catalog_url, &http),
            orders: Orders::new(&config.order_url, &http),
            notifications: config
                .notification_url
                .as_ref()
                .map(|url| Notifications::new(url, &http, bot_token)),
        })
    }

    /// Each of them, for health checks.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let always = [self.auth.upstream(), self.catalog.upstream(), self.orders.upstream()];
        always.into_iter().chain(self.notifications.as_ref().map(Notifications::upstream))
    }
}
