//! The audit of the shop's books: what each service says about an order and about stock must agree with what the others say.
//!
//! Services are asked by their administrators' lists, and each list is read page by page. Of many orders, a part is compared after the
//! other, so memory is bounded whatever the shop has sold.

mod disagreement;
mod entry;
mod order;
mod read;
mod stock;
mod verdict;

use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::Args;
use shop_client::Failure;
use shop_core::Clock;
use shop_runtime::config::SecretString;
use tokio::time::{Instant, sleep};

pub use self::{
    disagreement::{About, Disagreement},
    verdict::Verdict,
};
use self::{
    entry::AllHeld,
    order::Rules,
    read::{Part, Reader, Unread},
};
use crate::{
    addresses::{Addresses, Shop},
    admin::Admin,
};

/// The pause before books that do not agree yet are read again.
const BEFORE_REPEAT: Duration = Duration::from_secs(1);

/// Which shop to audit, and how patiently.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// How long an order may be pending, in seconds
    #[arg(long, env = "CHECK_PENDING_SECONDS", default_value_t = 900)]
    pub pending_seconds: u32,
    /// How long to wait until the books agree, in seconds: events may be on their way
    #[arg(long = "settle", env = "CHECK_SETTLE_SECONDS", default_value_t = 0)]
    pub settle_seconds: u32,
    /// The largest number of orders to hold in memory; of more, the books are read several times
    #[arg(long, env = "CHECK_MOST_ORDERS", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub most_orders: u32,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
    /// The shop.
    #[command(flatten)]
    pub shop: Addresses,
    /// Whose login reads the books.
    #[command(flatten)]
    pub admin: Admin,
}

/// Reads and compares the books, until they agree or the patience is over.
///
/// # Errors
/// They could not be read.
pub async fn check(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let shop = Shop::at(&arguments.shop)?;
    let password = arguments.admin.password()?;
    let deadline = Instant::now() + Duration::from_secs(arguments.settle_seconds.into());
    loop {
        let outcome = compared(arguments, &shop, &password).await;
        if matches!(&outcome, Ok(verdict) if verdict.agrees()) || Instant::now() + BEFORE_REPEAT > deadline {
            return outcome.context("the books cannot be read");
        }
        sleep(BEFORE_REPEAT).await;
    }
}

async fn compared(arguments: &Arguments, shop: &Shop, password: &SecretString) -> Result<Verdict, Failure> {
    let token = arguments.admin.log_in(&shop.auth, password).await?;
    let now = Clock::system().now();
    let most = usize::try_from(arguments.most_orders).unwrap_or(usize::MAX);
    let reader = Reader { shop, token: &token, until: now, most };
    let pending = TimeDelta::seconds(arguments.pending_seconds.into());
    let mut parts = 1;
    loop {
        match verdict(&reader, pending, parts).await {
            Ok(verdict) => return Ok(verdict),
            Err(Unread::TooMany) => parts *= 2,
            Err(Unread::Failed(failure)) => return Err(failure),
        }
    }
}

/// Compares a part of the orders after the other, and then the stock with all reservations.
async fn verdict(reader: &Reader<'_>, pending: TimeDelta, parts: u64) -> Result<Verdict, Unread> {
    let stock = reader.stock().await?;
    let (mut verdict, mut held) = (Verdict::default(), AllHeld::default());
    for index in 0..parts {
        let books = reader.part(Part { index, of: parts }).await?;
        let rules = Rules { now: reader.until, pending, charges: books.charges };
        verdict.charges_known = books.charges;
        for (id, entry) in &books.entries {
            verdict.count(entry);
            verdict.add(order::disagreements(*id, entry, &rules));
        }
        held.merge(books.held);
    }
    verdict.products = stock.len();
    verdict.add(stock::disagreements(&stock, held));
    Ok(verdict)
}
