//! How much is measured.

use std::time::Duration;

/// The size of a message's body, in bytes.
pub(super) const PAYLOAD: usize = 1024;
/// What the publisher may have on its way, which is what it has unless it is told otherwise.
pub(super) const BATCH_SIZE: u32 = 400;
/// Longer than a message takes on any machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The sizes of all measurements.
pub(super) struct Sizes {
    pub(super) rounds: u32,
    /// Rows in one drain.
    pub(super) rows: u32,
    /// How long a steady load lasts in one round.
    pub(super) slice: Duration,
    pub(super) single_commits: u32,
    pub(super) sent_rows: u32,
    pub(super) backlog: u32,
}
