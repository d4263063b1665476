use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use moka::future::Cache as Moka;
use shop_core::Clock;

use super::{Away, Cache, Claim, Timing};
use crate::page::Page;

/// The list in this process, for a shop that runs in one process.
#[derive(Debug)]
pub struct MemoryCache {
    /// Each list with the generation in which it was filled in; a list of an earlier generation is ignored.
    list: Moka<(), (u64, Arc<Page>)>,
    state: Mutex<State>,
    timing: Timing,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    /// The current claim, if any, and when it expires.
    claim: Option<(Claim, Instant)>,
}

impl MemoryCache {
    /// An empty cache.
    pub fn new(timing: Timing, clock: Clock) -> Self {
        let list = Moka::builder().max_capacity(1).time_to_live(timing.ttl).build();
        Self { list, state: Mutex::default(), timing, clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self) -> Result<Option<Arc<Page>>, Away> {
        let filled = self.list.get(&()).await;
        let current = self.generation();
        Ok(filled.filter(|(generation, _)| *generation == current).map(|(_, page)| page))
    }

    async fn claim(&self) -> Result<Option<Claim>, Away> {
        let token = self.clock.new_id();
        {
            let now = Instant::now();
            let mut state = self.state();
            if state.claim.as_ref().is_some_and(|(_, until)| *until > now) {
                return Ok(None);
            }
            state.claim = Some((Claim(token), now + self.timing.claim));
        }
        // Checked last: a reader fills the list before it gives up the claim that would have stopped us above.
        if self.get().await?.is_some() {
            self.release(Claim(token)).await;
            return Ok(None);
        }
        Ok(Some(Claim(token)))
    }

    async fn fill(&self, claim: Claim, page: &Page) -> Result<bool, Away> {
        let generation = {
            let state = self.state();
            if state.claim.as_ref().is_none_or(|(standing, _)| *standing != claim) {
                return Ok(false);
            }
            state.generation
        };
        // An invalidation in between raises the generation, so what is inserted here is never read.
        self.list.insert((), (generation, Arc::new(page.clone()))).await;
        self.release(claim).await;
        Ok(true)
    }

    async fn release(&self, claim: Claim) {
        let mut state = self.state();
        if state.claim.as_ref().is_some_and(|(standing, _)| *standing == claim) {
            state.claim = None;
        }
    }

    async fn invalidate(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.claim = None;
    }

    fn generation(&self) -> u64 {
        self.state().generation
    }
}
