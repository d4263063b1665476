//! The operator's tools: `order try` is what `helm test` runs, since the images have neither a shell nor curl.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use shop_core::OrderId;
use shop_outbox::{RowFilter, RowStatus, Store};
use shop_runtime::{Tools, client, config::DatabaseUrl, database};
use tokio::time::{sleep, timeout};
use url::Url;
use uuid::Uuid;

use crate::SCHEMA;

/// How often something is tried that needs time.
const PAUSE: Duration = Duration::from_millis(250);

/// What an operator can do with the shop.
#[derive(Subcommand)]
pub enum Tool {
    /// Try the running shop: register a customer, order, wait until the event is published, and cancel the order
    Try(Try),
}

#[derive(Args)]
pub struct Try {
    /// The storefront, whose page must come; unset: it is not asked
    #[arg(long, env = "TRY_WEB_URL")]
    web_url: Option<Url>,
    /// Where auth_service is
    #[arg(long, env = "TRY_AUTH_URL", default_value = "http://127.0.0.1:8001")]
    auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "TRY_CATALOG_URL", default_value = "http://127.0.0.1:8002")]
    catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "TRY_ORDER_URL", default_value = "http://127.0.0.1:8003")]
    order_url: Url,
    /// The orders' database, whose outbox tells what is published
    #[arg(long, env = "ORDER_DATABASE_URL", hide_env_values = true)]
    database_url: DatabaseUrl,
    /// How long it may take in all, in seconds
    #[arg(long, env = "TRY_PATIENCE_SECONDS", default_value_t = 60)]
    patience_seconds: u16,
}

impl Tools for Tool {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Try(attempt) = self;
        let patience = Duration::from_secs(attempt.patience_seconds.into());
        match timeout(patience, attempt.run()).await {
            Ok(outcome) => outcome.map(|()| ExitCode::SUCCESS),
            Err(_) => bail!("not done within {patience:?}; the last line says what is"),
        }
    }
}

/// What `POST /auth/register` answers.
#[derive(Deserialize)]
struct Account {
    access_token: String,
}

#[derive(Deserialize)]
struct Product {
    id: i64,
}

#[derive(Deserialize)]
struct Order {
    id: OrderId,
}

impl Try {
    async fn run(&self) -> anyhow::Result<()> {
        let client = client::client()?;
        if let Some(web) = &self.web_url {
            asked("the storefront", client.get(web.clone())).await?;
            say("the storefront answers")?;
        }

        let email = format!("try-{}@example.com", Uuid::new_v4());
        let account = json!({ "email": email, "password": Uuid::new_v4().to_string() });
        let account = client.post(below(&self.auth_url, "auth/register")?).json(&account);
        let Account { access_token } = asked("auth_service", account).await?.json().await?;
        say(&format!("registered {email}"))?;

        let products = client.get(below(&self.catalog_url, "products")?).query(&[("limit", "1")]);
        let products: Vec<Product> = asked("catalog_service", products).await?.json().await?;
        let product = products.first().context("catalog_service has no product")?;
        let order = json!({ "items": [{ "product_id": product.id, "quantity": 1 }] });
        let order = client.post(below(&self.order_url, "orders")?).bearer_auth(&access_token).json(&order);
        let Order { id } = asked("order_service", order).await?.json().await?;
        say(&format!("ordered product {}: order {id}", product.id))?;

        let outbox = outbox(&self.database_url).await?;
        let aggregate = Some(("order".to_owned(), id.to_string()));
        let sent = RowFilter { status: RowStatus::Sent, aggregate, ..RowFilter::default() };
        while outbox.list(&sent).await.context("the outbox cannot be read")?.is_empty() {
            sleep(PAUSE).await;
        }
        say("its event is published")?;

        // So that nobody packs it. A consumer may have been faster and confirmed it, which is as well.
        let cancel = below(&self.order_url, &format!("orders/{id}/cancel"))?;
        let cancelled = client.post(cancel).bearer_auth(&access_token).send().await?;
        say(if cancelled.status().is_success() { "and the order cancelled" } else { "and the order stays" })
    }
}

/// Sends a request that must be answered well; a service that is being replaced or has too much to do is asked again.
async fn asked(whom: &str, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
    loop {
        let request = request.try_clone().context("a body that can be sent once only")?;
        let status = match request.send().await {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => response.status(),
            Err(error) if error.is_connect() || error.is_timeout() => {
                say(&format!("{whom} does not answer yet"))?;
                sleep(PAUSE * 4).await;
                continue;
            }
            Err(error) => return Err(error).with_context(|| whom.to_owned()),
        };
        if !status.is_server_error() {
            bail!("{whom} answered {status}");
        }
        say(&format!("{whom} answered {status}"))?;
        sleep(PAUSE * 4).await;
    }
}

async fn outbox(database_url: &DatabaseUrl) -> anyhow::Result<Store> {
    let settings = database::Settings::from(SCHEMA).session(&shop_outbox::SESSION).connections(1);
    let database = database::attach(database_url, settings).await?;
    Ok(Store::new(database.connection().clone(), "try"))
}

fn below(base: &Url, path: &str) -> anyhow::Result<Url> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    text.parse().with_context(|| text.clone())
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
