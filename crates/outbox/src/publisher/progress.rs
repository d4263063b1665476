use super::trouble::Trouble;
use crate::Stats;

/// A publisher's progress, for readiness and for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Whether it holds the lease.
    pub leading: bool,
    /// Whether the broker is connected too: then committed events are published.
    pub publishing: bool,
    /// The epoch of the last lease.
    pub epoch: i64,
    /// Why nothing is published at the moment, if something is wrong.
    pub trouble: Option<Trouble>,
    /// The outbox's numbers when a leader last counted.
    pub stats: Option<Stats>,
}
