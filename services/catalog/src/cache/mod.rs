//! The cache of the product list: a port with two sides, Redis ([`RedisCache`]) and this process ([`MemoryCache`]).
//!
//! # What keeps it right
//! A reader that finds nothing **claims** the list before it asks the database, and may only [`Cache::fill`] while that
//! claim stands. [`Cache::invalidate`], which follows every committed write, removes the list *and* the claim at once.
//! So a reader that looked at the database before the write cannot put the old list back, however slow it is; and since
//! there is one claim at a time, over all replicas, one reader asks the database while the others wait for its list.
//!
//! Redis itself is not trusted: a list is believed with a seal alone that only a catalog can make (docs/adr/0013), and what has
//! none, or no TTL, or another type, is removed and loaded anew.
//!
//! # How old an answer can be
//! - A request that begins after a write was answered **by the same replica** sees it.
//! - Elsewhere, Redis pushes the invalidation, which takes a network's delay; a request that joined a load already
//!   under way in that moment gets what it loaded. If the push is lost with a dead connection, the copy within the
//!   process is no longer believed after [`Timing::trust`] (2 seconds).
//! - If Redis cannot be told (it is away, or the writer crashed between its commit and the invalidation), a replica that
//!   still reaches Redis may go on with the old list until its TTL, 60 seconds. A writer that lives remembers the debt and
//!   pays it before it reads from Redis again.
//!
//! Nobody is charged by a cached price: an order asks by `ids`, which always comes from the database.

mod memory;
mod redis;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

pub use self::{memory::MemoryCache, redis::RedisCache};
use crate::page::Page;

/// The first page of all products, as it is cached.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The cached list.
    ///
    /// # Errors
    /// The cache cannot be asked; the answer comes without delay when that is known already.
    async fn get(&self) -> Result<Option<Arc<Page>>, Away>;

    /// The right to fill the list; `None` while another reader has it, or when the list is there.
    ///
    /// # Errors
    /// The cache cannot be asked.
    async fn claim(&self) -> Result<Option<Claim>, Away>;

    /// Caches `page`, which was loaded after `claim` was made; answers whether the claim still stood.
    ///
    /// # Errors
    /// The cache cannot be asked.
    async fn fill(&self, claim: Claim, page: &Page) -> Result<bool, Away>;

    /// Gives a claim back, unused.
    async fn release(&self, claim: Claim);

    /// Forgets the list and any claim to it. When this returns, [`Cache::get`] does not answer with anything older; what
    /// could not be done now is done before the cache is read again.
    async fn invalidate(&self);

    /// Changes whenever a list that was current may have become old.
    fn generation(&self) -> u64;
}

/// The cache cannot be asked now. Why, is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the cache is away")]
pub struct Away;

/// The right to fill the list, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim that is neither used nor released keeps others waiting"]
pub struct Claim(Uuid);

/// How long things hold.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The list, once filled. The specification says 60 seconds.
    pub ttl: Duration,
    /// A claim whose reader is never heard of again.
    pub claim: Duration,
    /// A copy within the process, after Redis was last heard to be alive.
    pub trust: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60), claim: Duration::from_secs(5), trust: Duration::from_secs(2) }
    }
}
