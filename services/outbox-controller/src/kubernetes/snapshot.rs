//! What is known about one object at one moment.
//!
//! The object's worker alone writes it, and always as a whole: nobody ever sees the plan of one object beside the publisher of
//! another.

use std::time::Duration;

use shop_outbox::{Progress, Store, Tenure};
use tokio::sync::watch;

use super::{object::Object, plan::Plan, problem::Problem};

/// A renewal may come at the very moment at which the tenure ends, and changes nothing but that end. So look again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The state of an object.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// As it was last seen.
    pub(super) object: Object,
    /// What was made of it; `None` until the Secrets that it names have been looked up.
    pub(super) planned: Option<Planned>,
    /// What carries out that plan, and no other; `None` while nothing does.
    pub(super) running: Option<Running>,
    /// The right to publish, and to report, while this replica is the object's leader.
    pub(super) tenure: Option<Tenure>,
}

/// A plan, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    /// The generation of the object that it was made from. It may be older than the object: a publisher that is at work keeps its
    /// plan for a moment while a Secret is being replaced.
    pub(super) generation: Option<i64>,
    pub(super) plan: Result<Plan, Problem>,
}

/// What carries out a plan.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) store: Store,
    /// The publisher's progress; `None` while it is paused.
    pub(super) progress: Option<Progress>,
}

/// Waits until this replica is the leader, by a tenure that has not ended.
pub(super) async fn elected(snapshots: &mut watch::Receiver<Snapshot>) -> Tenure {
    loop {
        let tenure = snapshots.borrow_and_update().tenure.clone();
        if let Some(tenure) = tenure.filter(|tenure| !tenure.is_over()) {
            return tenure;
        }
        let _ = tokio::time::timeout(LOOK_AGAIN, snapshots.changed()).await;
    }
}
