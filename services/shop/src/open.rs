//! Starts every service in this process, each as it would start alone.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::Context as _;
use auth::Auth;
use catalog::Catalog;
use order::Order;
use outbox_controller::{DatabaseConfig, OutboxConfig, OutboxController};
use shop_messaging::in_process::SqliteBroker;
use shop_runtime::{
    Bus, BusUrl, Lifecycle, Scope, Service,
    auth::TokenConfig,
    config::{DatabaseUrl, Demo, RedisUrl},
    consumer::ConsumerConfig,
    http::HttpConfig,
    seal::LinkConfig,
};
use telegram::Telegram;
use url::Url;
use web::Web;

use crate::{
    config::Config,
    secrets::{self, Secrets},
};

/// The addresses of an open shop.
pub(crate) struct Open {
    pub(crate) auth: SocketAddr,
    pub(crate) catalog: SocketAddr,
    pub(crate) order: SocketAddr,
    pub(crate) web: SocketAddr,
    pub(crate) outbox: SocketAddr,
    pub(crate) bot: bool,
    pub(crate) admin: String,
    pub(crate) secrets: PathBuf,
}

/// Starts the services, each after those that it calls. They stop in reverse order: an order that is being placed
/// when the shop stops still needs the catalog.
pub(crate) async fn open(config: Config, lifecycle: &Lifecycle) -> anyhow::Result<Open> {
    let secrets = Secrets::load_or_make(&config.data_dir)?;
    let front = lifecycle;
    let middle = &front.beneath();
    let back = &middle.beneath();
    // One process has one port for probes, and it is the storefront's.
    let inner = HttpConfig { probe_listen: None, ..config.http.clone() };
    let bus = SqliteBroker::open(&config.data_dir.join("bus.db")).await;
    let bus = bus.context("the event bus cannot be opened; is another shop running on this data folder?")?;
    let bus = &Bus::of_process(bus.into());
    let database = |name: &str| -> anyhow::Result<DatabaseUrl> {
        let file = config.data_dir.join(format!("{name}.db"));
        format!("sqlite://{}", file.display()).parse().context("the data folder's path")
    };
    let tokens = TokenConfig {
        jwt_algorithm: shop_runtime::auth::parse_algorithm("HS256").map_err(anyhow::Error::msg)?,
        jwt_secret: Some(secrets.jwt_secret),
        jwt_public_key: None,
        jwt_other_secret: None,
        jwt_other_public_key: None,
        demo: Demo::default(),
    };

    let auth = auth::Config {
        listen: config.auth,
        database_url: database("auth")?,
        tokens: tokens.clone(),
        redis_url: RedisUrl::MEMORY,
        trust_proxy: false,
        password_policy: auth::PasswordPolicy::Basic,
        jwt_private_key: None,
        jwt_expire_minutes: 60,
        admin_email: Some(config.admin_email.clone()),
        admin_password: Some(secrets.admin_password),
    };
    let auth = start::<Auth>(auth, back, &inner, bus).await?;

    let catalog = catalog::Config {
        listen: config.catalog,
        database_url: database("catalog")?,
        redis_url: RedisUrl::MEMORY,
        tokens: tokens.clone(),
    };
    let catalog = start::<Catalog>(catalog, back, &inner, bus).await?;

    let order = order::Config {
        listen: config.order,
        database_url: database("orders")?,
        rabbitmq_url: BusUrl::EMBEDDED,
        consumer: ConsumerConfig::default(),
        catalog_url: url(catalog)?,
        guest_checkout: config.guest_checkout,
        guest_orders_per_minute: config.guest_orders_per_minute,
        pending_timeout_seconds: order::DEFAULT_PENDING_TIMEOUT_SECONDS,
        link: LinkConfig::default(),
        tokens,
    };
    let order = start::<Order>(order, middle, &inner, bus).await?;

    let web = web::Config {
        listen: config.web,
        session_secret: secrets.session_secret,
        auth_url: url(auth)?,
        catalog_url: url(catalog)?,
        order_url: url(order)?,
        trust_proxy: false,
        trace_url: None,
        demo: Demo::default(),
    };
    let web = start::<Web>(web, front, &config.http, bus).await?;

    let bot = config.telegram_token.is_some();
    let telegram = telegram::Config {
        listen: config.telegram,
        bot_token: config.telegram_token,
        api_url: config.telegram_api,
        auth_url: url(auth)?,
        catalog_url: url(catalog)?,
        order_url: url(order)?,
        notification_url: None,
        redis_url: RedisUrl::MEMORY,
    };
    start::<Telegram>(telegram, front, &inner, bus).await?;

    // Last: the order service has made the tables by now, and every service has declared the queues that it consumes from.
    let orders = DatabaseConfig { database_url: database("orders")?, schema: "orders".to_owned() };
    let orders = OutboxConfig::embedded("orders", Order::NAME, orders);
    let outbox = outbox_controller::Config::embedded(config.outbox, orders, Vec::new());
    let outbox = start::<OutboxController>(outbox, back, &inner, bus).await?;

    let admin = config.admin_email.to_string();
    Ok(Open { auth, catalog, order, web, outbox, bot, admin, secrets: config.data_dir.join(secrets::FILE) })
}

async fn start<S: Service>(
    config: S::Config,
    lifecycle: &Lifecycle,
    http: &HttpConfig,
    bus: &Bus,
) -> anyhow::Result<SocketAddr> {
    let scope = Scope { http: http.clone(), bus: bus.clone(), ..Scope::new(S::NAME, lifecycle) };
    shop_runtime::start::<S>(config, scope).await.context(S::NAME)
}

/// The address of a service of this process, from inside the process.
fn url(mut address: SocketAddr) -> anyhow::Result<Url> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}").parse()?)
}
