use clap::Args;
use shop_client::{Auth, Books, Catalog, Http, Orders, parse_address};
use url::Url;

/// Where the running shop is. The defaults are those of `cargo run` and of compose.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The shop")]
pub struct Addresses {
    /// Where auth_service is
    #[arg(long, env = "LOAD_AUTH_URL", default_value = "http://127.0.0.1:8001", value_parser = parse_address)]
    pub auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "LOAD_CATALOG_URL", default_value = "http://127.0.0.1:8002", value_parser = parse_address)]
    pub catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "LOAD_ORDER_URL", default_value = "http://127.0.0.1:8003", value_parser = parse_address)]
    pub order_url: Url,
    /// Where payment_service is
    #[arg(long, env = "LOAD_PAYMENT_URL", default_value = "http://127.0.0.1:8004", value_parser = parse_address)]
    pub payment_url: Url,
    /// Where notification_service is
    #[arg(long, env = "LOAD_NOTIFICATION_URL", default_value = "http://127.0.0.1:8005", value_parser = parse_address)]
    pub notification_url: Url,
}

/// Clients of a running shop.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) auth: Auth,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
    pub(crate) books: Books,
}

impl Shop {
    pub(crate) fn at(addresses: &Addresses) -> anyhow::Result<Self> {
        let http: Http = shop_client::http()?;
        let Addresses { auth_url, catalog_url, order_url, payment_url, notification_url } = addresses;
        Ok(Self {
            auth: Auth::new(auth_url, &http),
            catalog: Catalog::new(catalog_url, &http),
            orders: Orders::new(order_url, &http),
            books: Books::new(catalog_url, payment_url, notification_url, &http),
        })
    }
}
