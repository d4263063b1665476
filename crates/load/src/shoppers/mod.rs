//! Shoppers who come into a running shop at a given rate, whether or not the earlier ones are served.

mod accounts;
mod arguments;
mod pauses;
mod plan;
mod premises;
mod restock;
mod shopper;
pub(crate) mod table;
mod tally;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use rand::{SeedableRng as _, rngs::StdRng};
use shop_core::OrderId;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use self::{
    accounts::Accounts,
    plan::{Habits, Plan},
    premises::{Counters, Premises},
    restock::Restocker,
    shopper::Shopper,
};
pub use self::{
    arguments::Arguments,
    tally::{Quantiles, Summary},
};
use crate::addresses::Shop;

/// How long a shop that is being started may take before shoppers can come in.
const OPENS_WITHIN: Duration = Duration::from_secs(60);

/// A run. Clones look at the same one.
#[derive(Clone)]
pub struct Shoppers {
    arguments: Arguments,
    counters: Arc<Counters>,
}

impl Shoppers {
    /// A run that has not begun.
    pub fn new(arguments: Arguments) -> Self {
        Self { arguments, counters: Arc::new(Counters::new()) }
    }

    /// What they have experienced so far.
    pub fn summary(&self) -> Summary {
        self.counters.tally().summary(self.counters.began.elapsed())
    }

    /// The orders that they have placed so far: each was answered with 201.
    pub fn orders(&self) -> Vec<OrderId> {
        self.counters.tally().orders.clone()
    }

    /// Lets shoppers in until there are enough or `stop` is ready, and returns when the last of them has left.
    ///
    /// # Errors
    /// No account can be opened, or the shop cannot be restocked.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let arguments = &self.arguments;
        let shop = Shop::at(&arguments.shop)?;
        let mut restocking = JoinSet::new();
        if let Some(restocker) = self.restocker(&shop)? {
            restocker.restock().await.context("the shop cannot be restocked")?;
            restocking.spawn(restocker.keep_restocking());
        }
        let run = Uuid::new_v4().simple().to_string()[..8].to_owned();
        let deadline = Instant::now() + OPENS_WITHIN;
        let accounts = Accounts::open(&shop.auth, &run, arguments.accounts, deadline).await?;
        let premises = Arc::new(Premises { shop, accounts, arguments: arguments.clone(), run });
        let seed = arguments.seed.unwrap_or_else(rand::random);
        self.let_in(&premises, StdRng::seed_from_u64(seed), stop).await;
        Ok(())
    }

    fn restocker(&self, shop: &Shop) -> anyhow::Result<Option<Restocker>> {
        let Arguments { restock: wanted, admin, .. } = &self.arguments;
        if *wanted == 0 {
            return Ok(None);
        }
        let password = admin.password()?;
        Ok(Some(Restocker { shop: shop.clone(), admin: admin.clone(), password, wanted: *wanted }))
    }

    async fn let_in(&self, premises: &Arc<Premises>, mut chance: StdRng, stop: impl Future<Output = ()>) {
        let Arguments { guests, cancels, accounts, concurrency, .. } = self.arguments;
        let habits = Habits { guests, cancels, accounts: accounts.into() };
        let room = Arc::new(Semaphore::new(concurrency as usize));
        let mut visits = JoinSet::new();
        let began = Instant::now();
        let mut stop = std::pin::pin!(stop);
        for number in 0.. {
            let Some(arrival) = self.arguments.arrival(number) else { break };
            let entering = async {
                sleep_until(began + arrival).await;
                if room.available_permits() == 0 {
                    self.counters.tally().held_back();
                }
                Arc::clone(&room).acquire_owned().await
            };
            let place = tokio::select! {
                place = entering => place,
                () = &mut stop => break,
            };
            let plan = Plan::draw(&habits, &mut chance);
            let (premises, counters) = (Arc::clone(premises), Arc::clone(&self.counters));
            let shopper = Shopper { premises, counters, number, plan };
            visits.spawn(async move {
                let _place = place;
                shopper.visit().await;
            });
            // Those that have left need no memory.
            while visits.try_join_next().is_some() {}
        }
        visits.join_all().await;
    }
}
