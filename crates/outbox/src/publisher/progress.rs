use super::trouble::Trouble;
use crate::Stats;

/// Where a publisher stands, for readiness and for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Holds the lease.
    pub leading: bool,
    /// The broker is connected too: what is committed is published.
    pub publishing: bool,
    /// The epoch of the last lease.
    pub epoch: i64,
    /// Why nothing is published at the moment, if something is wrong.
    pub trouble: Option<Trouble>,
    /// What the outbox held when a leader last counted.
    pub stats: Option<Stats>,
}
