//! Starts every service in this process, each as it would start alone.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use auth::Auth;
use catalog::Catalog;
use notification::Notification;
use order::Order;
use outbox_controller::OutboxController;
use payment::Payment;
use shop_messaging::in_process::SqliteBroker;
use shop_runtime::{Bus, Lifecycle, Scope, Service, http::HttpConfig};
use telegram::Telegram;
use web::Web;

use crate::{
    address::address,
    config::Config,
    secrets::{self, Secrets},
    settings::Settings,
};

/// The addresses of an open shop.
pub(crate) struct Open {
    pub(crate) auth: SocketAddr,
    pub(crate) catalog: SocketAddr,
    pub(crate) order: SocketAddr,
    pub(crate) payment: SocketAddr,
    pub(crate) notification: SocketAddr,
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
    let outer = config.http.clone();
    let inner = HttpConfig { probe_listen: None, ..outer.clone() };
    let bus = SqliteBroker::open(&config.data_dir.join("bus.db")).await;
    let bus = bus.context("the event bus cannot be opened; is another shop running on this data folder?")?;
    let bus = &Bus::of_process(bus.into());
    let bot = config.telegram_token.is_some();
    let (admin, file) = (config.admin_email.to_string(), config.data_dir.join(secrets::FILE));
    let settings = Settings::new(config, secrets)?;

    let auth = start::<Auth>(settings.auth()?, back, &inner, bus).await?;
    let catalog = start::<Catalog>(settings.catalog()?, back, &inner, bus).await?;
    let order = settings.order(address(catalog)?)?;
    let order = start::<Order>(order, middle, &inner, bus).await?;
    let payment = start::<Payment>(settings.payment()?, back, &inner, bus).await?;
    let notification = start::<Notification>(settings.notification()?, back, &inner, bus).await?;
    let web = settings.web(address(auth)?, address(catalog)?, address(order)?);
    let web = start::<Web>(web, front, &outer, bus).await?;
    let telegram =
        settings.telegram([address(auth)?, address(catalog)?, address(order)?, address(notification)?]);
    start::<Telegram>(telegram, front, &inner, bus).await?;
    // Last: the services have made the outboxes' tables by now, and have declared the queues that they consume from.
    let outbox = start::<OutboxController>(settings.outbox()?, back, &inner, bus).await?;

    Ok(Open { auth, catalog, order, payment, notification, web, outbox, bot, admin, secrets: file })
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
