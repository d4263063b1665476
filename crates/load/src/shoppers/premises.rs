use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{accounts::Accounts, arguments::Arguments, tally::Tally};
use crate::addresses::Shop;

/// What all shoppers of a run share.
pub(crate) struct Premises {
    pub(crate) shop: Shop,
    pub(crate) accounts: Accounts,
    pub(crate) arguments: Arguments,
    /// Part of the addresses of a run, so that no two runs share one.
    pub(crate) run: String,
}

/// The counters of a run, while it is going on.
pub(crate) struct Counters {
    tally: Mutex<Tally>,
    pub(crate) began: Instant,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self { tally: Mutex::new(Tally::new()), began: Instant::now() }
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
