//! The operator's tools: `order try` is what `helm test` runs, since the images have neither a shell nor curl.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use backon::{ConstantBuilder, Retryable as _};
use clap::{ArgAction, Args, Subcommand};
use shop_client::{
    Auth, Catalog, Failure, Http, NewOrder, OnBehalf, Orders, Owner, Search, Upstream, parse_address,
};
use shop_core::{OrderId, OrderStatus, basket::Line};
use shop_outbox::{RowFilter, RowStatus, Store};
use shop_runtime::{
    Tools,
    config::{DatabaseUrl, ExposeSecret as _},
    consumer, database,
};
use tokio::time::{sleep, timeout};
use url::Url;
use uuid::Uuid;

use crate::{Order, SCHEMA};

/// How often the outbox and the order are looked at.
const PAUSE: Duration = Duration::from_millis(250);
/// Before a service that is unavailable is asked again.
const BEFORE_REPEAT: Duration = Duration::from_secs(1);

/// What an operator can do with the shop.
#[derive(Subcommand)]
pub enum Tool {
    /// Try the running shop: register a customer, order, wait until the event is published, and cancel the order
    Try(Box<Try>),
    /// Look at the messages that could not be handled
    #[command(flatten)]
    DeadLetters(consumer::Tool<Order>),
    /// Put load on the running shop, and check its books
    #[command(flatten)]
    Load(shop_load::Command),
}

#[derive(Args)]
pub struct Try {
    /// The storefront, whose page must come; unset: it is not asked
    #[arg(long, env = "TRY_WEB_URL", value_parser = parse_address)]
    web_url: Option<Url>,
    /// Where auth_service is
    #[arg(long, env = "TRY_AUTH_URL", default_value = "http://127.0.0.1:8001", value_parser = parse_address)]
    auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "TRY_CATALOG_URL", default_value = "http://127.0.0.1:8002", value_parser = parse_address)]
    catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "TRY_ORDER_URL", default_value = "http://127.0.0.1:8003", value_parser = parse_address)]
    order_url: Url,
    /// The orders' database, whose outbox tells what is published
    #[arg(long, env = "ORDER_DATABASE_URL", hide_env_values = true)]
    database_url: DatabaseUrl,
    /// `true`: also wait until the order is confirmed or cancelled, which needs the services that consume events
    #[arg(long, env = "TRY_UNTIL_SETTLED", action = ArgAction::Set, default_value_t = false)]
    until_settled: bool,
    /// How long it may take in all, in seconds
    #[arg(long, env = "TRY_PATIENCE_SECONDS", default_value_t = 60)]
    patience_seconds: u16,
}

impl Tools for Tool {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let attempt = match self {
            Self::Try(attempt) => attempt,
            Self::DeadLetters(tool) => return tool.run().await,
            Self::Load(command) => return command.run().await,
        };
        let patience = Duration::from_secs(attempt.patience_seconds.into());
        match timeout(patience, attempt.run()).await {
            Ok(outcome) => outcome.map(|()| ExitCode::SUCCESS),
            Err(_) => bail!("not done within {patience:?}; the last line says what is"),
        }
    }
}

impl Try {
    async fn run(&self) -> anyhow::Result<()> {
        let http = shop_client::http()?;
        if let Some(web) = &self.web_url {
            let web = Upstream::new("the storefront", web, &http);
            asked(|| web.visit()).await?;
            say("the storefront answers")?;
        }
        let token = self.register(&http).await?;
        let orders = Orders::new(&self.order_url, &http);
        let id = self.order(&http, &orders, &token).await?;
        self.wait_until_published(id).await?;
        say("its event is published")?;
        if self.until_settled {
            let status = settled(&orders, &token, id).await?;
            say(&format!("it is {status}"))?;
        }
        // So that nobody packs it: what was reserved and charged is given back. If it has been shipped, it stays.
        let is_cancelled = orders.cancel(Owner::Account(&token), id).await.is_ok();
        say(if is_cancelled { "and the order cancelled" } else { "and the order stays" })
    }

    /// The access token of a new customer.
    async fn register(&self, http: &Http) -> anyhow::Result<String> {
        let auth = Auth::new(&self.auth_url, http);
        let email = format!("try-{}@example.com", Uuid::new_v4()).parse()?;
        let password = Uuid::new_v4().to_string();
        let token = asked(|| auth.register(&email, &password, OnBehalf::OURSELVES)).await?;
        say(&format!("registered {email}"))?;
        Ok(token.access_token.expose_secret().to_owned())
    }

    /// Orders the first product that there is.
    async fn order(&self, http: &Http, orders: &Orders, token: &str) -> anyhow::Result<OrderId> {
        let catalog = Catalog::new(&self.catalog_url, http);
        let products = asked(|| async { catalog.search(&Search::all(1)).await }).await?.items;
        let product = products.first().context("catalog_service has no product")?;
        let items = [Line { product_id: product.id, quantity: 1, price: None }];
        let order = NewOrder { customer_email: None, items: &items, language: None };
        let key = Uuid::new_v4();
        let order = asked(|| orders.place(token, key, &order)).await?;
        say(&format!("ordered product {}: order {}", product.id, order.id))?;
        Ok(order.id)
    }

    async fn wait_until_published(&self, id: OrderId) -> anyhow::Result<()> {
        let outbox = outbox(&self.database_url).await?;
        let aggregate = Some(("order".to_owned(), id.to_string()));
        let sent = RowFilter { status: RowStatus::Sent, aggregate, ..RowFilter::default() };
        while outbox.list(&sent).await.context("the outbox cannot be read")?.is_empty() {
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Makes a call that must succeed; a service that is being replaced or has too much to do is asked again.
async fn asked<T, F: Future<Output = Result<T, Failure>>>(call: impl FnMut() -> F) -> anyhow::Result<T> {
    let patiently = ConstantBuilder::default().with_delay(BEFORE_REPEAT).without_max_times();
    let outcome = call
        .retry(patiently)
        .when(|failure| matches!(failure, Failure::Unavailable { .. }))
        // What is said is for people only: that it cannot be written is noticed at the next step.
        .notify(|failure, _| drop(say(&failure.to_string())));
    Ok(outcome.await?)
}

/// The status of the order once it is no longer pending.
async fn settled(orders: &Orders, token: &str, id: OrderId) -> anyhow::Result<OrderStatus> {
    loop {
        let owner = Owner::Account(token);
        let order = asked(|| orders.get(owner, id)).await?.context("the order is not there")?;
        if let Some(status) = order.status.filter(|status| status.is_settled()) {
            return Ok(status);
        }
        sleep(PAUSE).await;
    }
}

async fn outbox(database_url: &DatabaseUrl) -> anyhow::Result<Store> {
    let settings = database::Settings::from(SCHEMA).session(&shop_outbox::SESSION).connections(1);
    let database = database::attach(database_url, settings).await?;
    Ok(Store::new(database.connection().clone(), "try"))
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
