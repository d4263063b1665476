//! One object's worker: keeps what runs in line with the object's spec.
//!
//! [`Worker::reconcile`] reads from top to bottom as five stages: dereference → validate → build → apply → status. No stage waits
//! for anything: what takes time goes on beside the loop, and each change starts the next round, be it of the object, of a
//! Secret, of the election, or of the publisher at work. A round ends with one [`Snapshot`], which the worker alone writes; the
//! reporter brings it to the API server at its own pace.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use kube::Api;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    object::Object,
    plan::{Plan, build},
    problem::Problem,
    publishing::{AtWork, Publishing},
    report::Reporter,
    secrets::Secrets,
    snapshot::{Planned, Snapshot},
    validate::validate,
};
use crate::election::{Elector, Standing};

/// How long a Secret may be missing, because it is being replaced, before the publisher that uses it is stopped.
const COME_BACK: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    context: Arc<Context>,
    objects: watch::Receiver<Object>,
    stop: CancellationToken,
    secrets: Secrets,
    /// The plan that is carried out, or why there is none.
    planned: Option<Planned>,
    /// Since when the next plan is missing only because of what may be over in a moment.
    waiting: Option<Instant>,
    publishing: Publishing,
    snapshot: watch::Sender<Snapshot>,
}

impl Worker {
    pub(super) fn new(
        context: Arc<Context>,
        objects: watch::Receiver<Object>,
        stop: CancellationToken,
    ) -> Self {
        let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &context.namespace);
        let object = objects.borrow().clone();
        let first = Snapshot { object, planned: None, running: None, tenure: None };
        Self {
            context,
            objects,
            stop,
            secrets: Secrets::new(secrets),
            planned: None,
            waiting: None,
            publishing: Publishing::default(),
            snapshot: watch::Sender::new(first),
        }
    }

    /// Works until stopped. Then the publisher finishes what is in flight, and the Lease is given back.
    pub(super) async fn run(mut self) {
        let elector = self.elector();
        let standing = elector.standing();
        let resign = CancellationToken::new();
        let work = async {
            let snapshots = self.snapshot.subscribe();
            let mut reporter = Reporter::new(self.context.clone(), snapshots, self.stop.clone());
            tokio::select! {
                never = reporter.run() => match never {},
                () = self.work(standing) => {}
            }
            reporter.leave().await;
            resign.cancel();
        };
        tokio::join!(elector.run(resign.clone()), work);
    }

    fn elector(&self) -> Elector {
        let object = self.objects.borrow().clone();
        let leases: Api<Lease> = Api::namespaced(self.context.client.clone(), &self.context.namespace);
        Elector::new(
            leases,
            format!("outboxpublisher-{}", object.name()),
            self.context.identity.clone(),
            object.as_owner(),
            self.context.elections,
        )
    }

    /// Reconciles whenever something has changed, until stopped and the publisher has ended.
    async fn work(&mut self, mut standing: watch::Receiver<Standing>) {
        while !(self.stop.is_cancelled() && self.publishing.has_ended()) {
            let now = standing.borrow_and_update().clone();
            self.reconcile(&now);
            self.until_something_changes(&mut standing).await;
        }
    }

    /// One round: from the object as it is now to what runs, and to what is known of both.
    fn reconcile(&mut self, standing: &Standing) {
        let object = self.objects.borrow_and_update().clone();
        let references = self.secrets.dereference(&object);
        let plan = references.map(|references| references.and_then(validate).and_then(build));
        self.decide(plan, object.metadata().generation);
        self.apply(object.name());
        self.status(object, standing);
    }

    /// Takes up the new plan, or what is in its way. A publisher that is at work keeps its own for a moment while the new one
    /// is missing only because of what may be over in that moment.
    fn decide(&mut self, plan: Option<Result<Plan, Problem>>, generation: Option<i64>) {
        let is_at_work = self.plan().is_some();
        let may_pass = match &plan {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(problem)) => problem.may_pass(),
        };
        self.waiting = (is_at_work && may_pass).then(|| self.waiting.unwrap_or_else(Instant::now));
        if self.waiting.is_none_or(|since| since.elapsed() >= COME_BACK) {
            self.planned = plan.map(|plan| Planned { generation, plan });
            self.waiting = None;
        }
    }

    fn plan(&self) -> Option<&Plan> {
        self.planned.as_ref()?.plan.as_ref().ok()
    }

    /// Has the plan carried out, and nothing else; nothing at all once stopped.
    fn apply(&mut self, name: &str) {
        let planned = self.planned.as_ref().filter(|_| !self.stop.is_cancelled());
        let plan = planned.and_then(|planned| planned.plan.as_ref().ok());
        let (context, stop, snapshots) = (&self.context, &self.stop, &self.snapshot);
        self.publishing.apply(plan, |plan| AtWork::begin(plan, name, context, snapshots.subscribe(), stop));
    }

    /// Publishes the current state as a whole: readers never see a part of it.
    fn status(&self, object: Object, standing: &Standing) {
        self.snapshot.send_replace(Snapshot {
            object,
            planned: self.planned.clone(),
            running: self.plan().and_then(|plan| self.publishing.of(plan)),
            tenure: standing.tenure().cloned(),
        });
    }

    async fn until_something_changes(&mut self, standing: &mut watch::Receiver<Standing>) {
        let patience = self.waiting.map(|since| since + COME_BACK);
        let is_stopping = self.stop.is_cancelled();
        tokio::select! {
            // The supervisor and the elector keep their ends for as long as this runs.
            _ = self.objects.changed() => {}
            _ = standing.changed() => {}
            () = self.secrets.changed() => {}
            () = self.publishing.changed() => {}
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {}
            () = self.stop.cancelled(), if !is_stopping => {}
        }
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

    fn worker() -> Worker {
        let (_, objects) = watch::channel(an_object());
        Worker::new(Arc::new(nowhere()), objects, CancellationToken::new())
    }

    fn missing() -> Problem {
        Problem::NoSecret { field: "spec.database.secretRef", secret: "db".to_owned() }
    }

    fn planned(generation: i64, plan: Result<Plan, Problem>) -> Option<Planned> {
        Some(Planned { generation: Some(generation), plan })
    }

    #[tokio::test]
    async fn a_secret_that_is_replaced_disturbs_nothing_unless_it_stays_away() {
        let mut worker = worker();
        worker.decide(Some(Ok(a_plan(false))), Some(1));
        // The Secret is away, or another one is named that has not been looked up yet.
        for next in [Some(Err(missing())), None] {
            worker.decide(next, Some(2));
            assert_eq!(worker.planned, planned(1, Ok(a_plan(false))));
        }
        worker.decide(Some(Ok(planned_as("another"))), Some(2));
        assert_eq!(worker.planned, planned(2, Ok(planned_as("another"))));

        worker.decide(Some(Err(missing())), Some(3));
        worker.waiting = worker.waiting.map(|since| since - COME_BACK);
        worker.decide(Some(Err(missing())), Some(3));
        assert_eq!(worker.planned, planned(3, Err(missing())));
    }

    #[tokio::test]
    async fn what_will_not_pass_by_itself_stops_the_publisher_at_once() {
        let mut worker = worker();
        worker.decide(Some(Ok(a_plan(false))), Some(1));
        let wrong = Problem::Spec { field: "batchSize", rule: "from 2 to 2000".to_owned() };
        worker.decide(Some(Err(wrong.clone())), Some(2));
        assert_eq!(worker.planned, planned(2, Err(wrong)));
        // Nothing is at work, so there is nothing to wait for.
        worker.decide(Some(Err(missing())), Some(3));
        assert_eq!(worker.planned, planned(3, Err(missing())));
    }

    #[tokio::test]
    async fn a_snapshot_names_what_carries_out_its_own_plan_and_no_other() {
        fn round(worker: &mut Worker, plan: Plan, generation: i64) -> Snapshot {
            worker.decide(Some(Ok(plan)), Some(generation));
            worker.apply("orders");
            worker.status(an_object(), &Standing::Follower { leader: None });
            worker.snapshot.borrow().clone()
        }
        let mut worker = worker();
        let first = round(&mut worker, a_plan(true), 1);
        assert!(first.running.is_some() && first.planned == planned(1, Ok(a_plan(true))));
        let newer = round(&mut worker, a_plan(true), 2);
        assert!(newer.running.is_some() && newer.planned == planned(2, Ok(a_plan(true))));
        let changed = round(&mut worker, a_plan(false), 3);
        assert!(changed.running.is_none(), "the plan before is still being carried out");
        worker.publishing.changed().await;
        let begun = round(&mut worker, a_plan(false), 3);
        assert!(begun.running.is_some_and(|running| running.progress.is_some()));
    }
}
