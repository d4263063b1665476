//! The publisher that carries out an object's plan: it publishes while this replica is the leader, and stands by while another is.

use std::{convert::Infallible, time::Duration};

use futures_util::future::BoxFuture;
use shop_outbox::{Progress, Publisher, Store};
use shop_runtime::database;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    plan::Plan,
    snapshot::{Running, Snapshot, elected},
};
use crate::outbox;

/// How long a follower's connections may take to be made, and how often they are checked.
const WARM_UP: Duration = Duration::from_secs(5);
const STAY_WARM: Duration = Duration::from_secs(30);
/// When to try again to make a publisher that could not be made.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The publisher that carries out a plan, if there is one.
#[derive(Default)]
pub(super) struct Publishing {
    at_work: Option<AtWork>,
    /// After a failure, nothing is retried before this time.
    retry: Option<Instant>,
}

impl Publishing {
    /// Whether nothing is at work, not even a publisher that is finishing.
    pub(super) fn has_ended(&self) -> bool {
        self.at_work.is_none()
    }

    /// What carries out `plan`, and no other.
    pub(super) fn of(&self, plan: &Plan) -> Option<Running> {
        let at_work = self.at_work.as_ref().filter(|at_work| at_work.carries_out(plan))?;
        let progress = at_work.progress.as_ref().map(|progress| progress.borrow().clone());
        Some(Running { store: at_work.store.clone(), progress })
    }

    /// Applies `plan`. Never waits: a publisher with another plan is told to finish the window in
    /// flight, and the next begins once [`Publishing::changed`] has returned because that one ended.
    pub(super) fn apply(&mut self, plan: Option<&Plan>, begin: impl FnOnce(&Plan) -> anyhow::Result<AtWork>) {
        match (&self.at_work, plan) {
            (Some(at_work), Some(plan)) if at_work.carries_out(plan) => {}
            (Some(at_work), _) => at_work.halt.cancel(),
            (None, Some(plan)) if self.retry.is_none_or(|retry| retry <= Instant::now()) => {
                let begun = begin(plan);
                self.retry = begun.is_err().then(|| Instant::now() + TRY_AGAIN);
                match begun {
                    Ok(at_work) => self.at_work = Some(at_work),
                    // What could not be parsed was refused when the plan was made, so this is a matter of resources.
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "the publisher cannot be made");
                    }
                }
            }
            (None, Some(_)) => {}
            (None, None) => self.retry = None,
        }
    }

    /// Waits until there is new progress, or the publisher has ended, or may be retried. May be cancelled.
    pub(super) async fn changed(&mut self) {
        let Some(at_work) = &mut self.at_work else {
            return match self.retry {
                Some(retry) => tokio::time::sleep_until(retry).await,
                None => std::future::pending().await,
            };
        };
        let has_ended = tokio::select! {
            () = &mut at_work.work => true,
            () = progressed(&mut at_work.progress) => false,
        };
        if has_ended {
            self.at_work = None;
        }
    }
}

async fn progressed(progress: &mut Option<watch::Receiver<Progress>>) {
    if let Some(progress) = progress
        && progress.changed().await.is_ok()
    {
        return;
    }
    // It is paused, or has ended, which is noticed otherwise.
    std::future::pending::<()>().await;
}

/// A plan that is being carried out.
pub(super) struct AtWork {
    plan: Plan,
    store: Store,
    progress: Option<watch::Receiver<Progress>>,
    halt: CancellationToken,
    work: BoxFuture<'static, ()>,
}

impl AtWork {
    /// Starts to carry out `plan` for the object `name`, until `stop` or until it is halted.
    ///
    /// # Errors
    /// The publisher cannot be made.
    pub(super) fn begin(
        plan: &Plan,
        name: &str,
        context: &Context,
        snapshots: watch::Receiver<Snapshot>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let database = database::lazily(&plan.database, outbox::sessions(&plan.schema))?;
        let store = outbox::store(&database);
        let (plan, halt) = (plan.clone(), stop.child_token());
        if plan.paused {
            let work = Box::pin(halt.clone().cancelled_owned());
            return Ok(Self { plan, store, progress: None, halt, work });
        }
        let lease = context.elections.lease();
        let place = format!("{}/{name}", context.namespace);
        let connection = format!("outbox publisher {place} of {}", context.identity);
        let transport = plan.broker()?.publisher(plan.transport(connection, lease));
        // Two objects of one outbox are two publishers, though one process may be both.
        let holder = format!("{} for {place}", context.identity);
        let options = plan.options(&holder, lease);
        let publisher = Publisher::new(store.clone(), transport, options, context.metrics.of(name));
        let progress = Some(publisher.progress());
        let work = Box::pin(take_turns(publisher, snapshots, halt.clone()));
        Ok(Self { plan, store, progress, halt, work })
    }

    fn carries_out(&self, plan: &Plan) -> bool {
        self.plan == *plan && !self.halt.is_cancelled()
    }
}

/// Publishes while this replica is the leader, and stands by while another is, until halted.
async fn take_turns(
    mut publisher: Publisher,
    mut snapshots: watch::Receiver<Snapshot>,
    halt: CancellationToken,
) {
    while !halt.is_cancelled() {
        let tenure = tokio::select! {
            biased;
            tenure = elected(&mut snapshots) => tenure,
            never = stand_by(&mut publisher) => match never {},
            () = halt.cancelled() => return,
        };
        publisher.run_for(&tenure, &halt).await;
    }
}

/// Keeps a follower's connections open, so that it can take over at once.
async fn stand_by(publisher: &mut Publisher) -> Infallible {
    loop {
        if let Err(trouble) = publisher.warm_up(WARM_UP).await {
            tracing::debug!(trouble = %trouble, "standing by without connections");
        }
        tokio::time::sleep(STAY_WARM).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{
        context::tests::nowhere,
        object::tests::an_object,
        plan::tests::{a_plan, planned_as},
    };

    fn snapshots() -> watch::Sender<Snapshot> {
        watch::Sender::new(Snapshot { object: an_object(), planned: None, running: None, tenure: None })
    }

    #[tokio::test]
    async fn a_plan_is_carried_out_only_after_the_one_before_it_has_ended() {
        let (context, stop, snapshots) = (nowhere(), CancellationToken::new(), snapshots());
        let begin = |plan: &Plan| AtWork::begin(plan, "orders", &context, snapshots.subscribe(), &stop);
        let (first, second) = (a_plan(false), planned_as("another"));
        let mut publishing = Publishing::default();
        publishing.apply(Some(&first), begin);
        assert!(publishing.of(&first).is_some_and(|running| running.progress.is_some()));

        // The same plan changes nothing, another one ends what is at work first.
        publishing.apply(Some(&first), |_| panic!("it is at work"));
        publishing.apply(Some(&second), |_| panic!("the first has not ended"));
        assert!(publishing.of(&first).is_none() && publishing.of(&second).is_none());
        assert!(!publishing.has_ended());
        // Even the first one again.
        publishing.apply(Some(&first), |_| panic!("it was told to finish"));
        publishing.changed().await;
        assert!(publishing.has_ended());
        publishing.apply(Some(&second), begin);
        assert!(publishing.of(&second).is_some() && publishing.of(&first).is_none());

        stop.cancel();
        publishing.changed().await;
        assert!(publishing.has_ended());
    }

    #[tokio::test]
    async fn a_paused_plan_publishes_nothing_and_has_an_outbox_to_look_into() {
        let (context, stop, snapshots) = (nowhere(), CancellationToken::new(), snapshots());
        let paused = a_plan(true);
        let mut publishing = Publishing::default();
        publishing.apply(Some(&paused), |plan| {
            AtWork::begin(plan, "orders", &context, snapshots.subscribe(), &stop)
        });
        assert!(publishing.of(&paused).is_some_and(|running| running.progress.is_none()));
        publishing.apply(None, |_| panic!("nothing is to be carried out"));
        publishing.changed().await;
        assert!(publishing.has_ended());
    }

    #[tokio::test]
    async fn a_publisher_that_cannot_be_made_is_tried_again_later() {
        let plan = a_plan(false);
        let mut publishing = Publishing::default();
        publishing.apply(Some(&plan), |_| Err(anyhow::anyhow!("no room")));
        publishing.apply(Some(&plan), |_| panic!("not so soon"));
        assert!(publishing.of(&plan).is_none());
        publishing.retry = publishing.retry.map(|retry| retry - TRY_AGAIN);
        publishing.changed().await;
        let mut tried = false;
        publishing.apply(Some(&plan), |_| {
            tried = true;
            Err(anyhow::anyhow!("no room"))
        });
        assert!(tried);
        // There is nothing to try without a plan.
        publishing.apply(None, |_| panic!("nothing is to be carried out"));
        assert_eq!(publishing.retry, None);
    }
}
