//! The cache of the product list: a port with two implementations, Redis ([`RedisCache`]) and this process ([`MemoryCache`]).
//!
//! # What keeps it correct
//! A reader that finds nothing **claims** the list before it reads the database, and may only [`Cache::fill`] while that
//! claim is valid. [`Cache::invalidate`], which follows every committed write, removes the list *and* the claim at once.
//! So a reader that read the database before the write cannot put the old list back, however slow it is. And because
//! there is only one claim at a time, across all replicas, one reader reads the database while the others wait for its list.
//!
//! Redis itself is not trusted: a list counts only with a seal that only a catalog can make (docs/adr/0013). Lists without
//! a seal or a TTL, and values of another type, are removed and loaded again.
//!
//! # How old a response can be
//! - A request that begins after a write was answered **by the same replica** sees the write.
//! - Elsewhere, Redis pushes the invalidation, which takes a network delay; a request that joined a load already
//!   in progress at that moment gets the result of that load. If the push is lost with a dead connection, the copy in the
//!   process is no longer used after [`Timing::trust`] (2 seconds).
//! - If the invalidation cannot reach Redis (it is away, or the writer crashed between its commit and the invalidation), a replica that
//!   still reaches Redis may use the old list until its TTL, 60 seconds, ends. A writer that is alive remembers the pending invalidation and
//!   performs it before it reads from Redis again.
//!
//! - The list is invalidated when a product is sold out or is back, but not for every piece that an order takes: as long as some are left, their
//!   number may be as old as the TTL (docs/adr/0029).
//!
//! Cached prices are never charged: an order looks its products up by `ids`, which always come from the database.

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
    /// Returns the cached list.
    ///
    /// # Errors
    /// The cache is away. The error comes without delay if that is already known.
    async fn get(&self) -> Result<Option<Arc<Page>>, Away>;

    /// Takes the right to fill the list; `None` while another reader has it, or if the list is there.
    ///
    /// # Errors
    /// The cache is away.
    async fn claim(&self) -> Result<Option<Claim>, Away>;

    /// Caches `page`, which was loaded after `claim` was made; returns whether the claim was still valid.
    ///
    /// # Errors
    /// The cache is away.
    async fn fill(&self, claim: Claim, page: &Page) -> Result<bool, Away>;

    /// Gives up a claim without using it.
    async fn release(&self, claim: Claim);

    /// Removes the list and any claim to it. After this returns, [`Cache::get`] returns nothing older; if the invalidation
    /// is not possible now, it is performed before the cache is read again.
    async fn invalidate(&self);

    /// Changes whenever a current list may have become outdated.
    fn generation(&self) -> u64;
}

/// The cache is away. The log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the cache is away")]
pub struct Away;

/// The right to fill the list once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim that is neither used nor released keeps others waiting"]
pub struct Claim(Uuid);

/// How long things are valid.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The list, once filled. The specification says 60 seconds.
    pub ttl: Duration,
    /// A claim whose reader has disappeared.
    pub claim: Duration,
    /// A copy in the process, after the last sign of life from Redis.
    pub trust: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60), claim: Duration::from_secs(5), trust: Duration::from_secs(2) }
    }
}
