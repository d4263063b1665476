//! One object's worker: plans, publishes while it is elected, stands by while it is not, and reports.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{ObjectReference, Secret},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Resource as _,
    core::{DeserializeGuard, ObjectMeta, error_boundary::InvalidObject},
};
use shop_core::Clock;
use shop_outbox::{OutboxMetricsFamily, Progress, Publisher, Store, Tenure};
use shop_runtime::database;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    plan::{Plan, Problem, References, plan},
    report::Reporter,
    secrets::{Followed, Seen},
};
use crate::{
    election::{Elector, Leadership, Settings},
    object::OutboxPublisher,
    sessions,
};

/// How long a follower's connections may take to be made, and how often they are looked at.
const WARM_UP: Duration = Duration::from_secs(5);
const STAY_WARM: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a Secret may be away, to be made anew, before the publisher that works with what it said is stopped.
const COME_BACK: Duration = Duration::from_secs(5);

/// What all workers share.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) identity: String,
    pub(super) elections: Settings,
    pub(super) metrics: OutboxMetricsFamily,
    pub(super) clock: Clock,
}

/// An object as it was last seen; one that cannot be read has its metadata alone.
#[derive(Clone, Debug)]
pub(super) struct Object(pub(super) Result<Arc<OutboxPublisher>, Arc<InvalidObject>>);

impl From<DeserializeGuard<OutboxPublisher>> for Object {
    fn from(DeserializeGuard(object): DeserializeGuard<OutboxPublisher>) -> Self {
        Self(object.map(Arc::new).map_err(Arc::new))
    }
}

impl Object {
    pub(super) fn metadata(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => &object.metadata,
            Err(invalid) => &invalid.metadata,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.metadata().uid.as_deref()
    }

    /// As the owner of what goes with it.
    fn as_owner(&self) -> Option<OwnerReference> {
        Some(OwnerReference {
            api_version: OutboxPublisher::api_version(&()).into_owned(),
            kind: OutboxPublisher::kind(&()).into_owned(),
            name: self.metadata().name.clone()?,
            uid: self.metadata().uid.clone()?,
            controller: Some(true),
            block_owner_deletion: None,
        })
    }

    /// As what an Event is about.
    pub(super) fn as_subject(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(OutboxPublisher::api_version(&()).into_owned()),
            kind: Some(OutboxPublisher::kind(&()).into_owned()),
            name: self.metadata().name.clone(),
            namespace: self.metadata().namespace.clone(),
            uid: self.metadata().uid.clone(),
            ..ObjectReference::default()
        }
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }
}

/// A plan, or why there is none, of one generation of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) generation: Option<i64>,
    pub(super) plan: Result<Plan, Problem>,
}

/// What there is of a plan's publisher to look at.
#[derive(Clone)]
pub(super) struct Running {
    /// Of the object whose plan it carries out.
    pub(super) generation: Option<i64>,
    pub(super) store: Store,
    /// None while it is paused.
    pub(super) progress: Option<watch::Receiver<Progress>>,
}

pub(super) struct Worker {
    context: Arc<Context>,
    objects: watch::Receiver<Object>,
    stop: CancellationToken,
    /// None while the Secrets have not been looked at yet.
    plans: watch::Sender<Option<Planned>>,
    running: watch::Sender<Option<Running>>,
}

impl Worker {
    pub(super) fn new(
        context: Arc<Context>,
        objects: watch::Receiver<Object>,
        stop: CancellationToken,
    ) -> Self {
        Self { context, objects, stop, plans: watch::Sender::default(), running: watch::Sender::default() }
    }

    /// Works until stopped. Then the publisher finishes what is in flight, and the Lease is given back.
    pub(super) async fn run(self) {
        let elector = self.elector();
        let leadership = elector.leadership();
        let resign = CancellationToken::new();
        let work = async {
            let mut reporter = Reporter::new(
                self.context.clone(),
                self.objects.clone(),
                self.plans.subscribe(),
                self.running.subscribe(),
                self.stop.clone(),
            );
            tokio::select! {
                never = self.make_plans() => match never {},
                never = reporter.run(leadership.clone()) => match never {},
                () = self.publish(leadership.clone()) => {}
            }
            reporter.leave(&leadership).await;
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

    /// Keeps the plan up to date with the object and with the Secrets that it names.
    async fn make_plans(&self) -> Infallible {
        let mut objects = self.objects.clone();
        let (mut database, mut broker) = (None, None);
        loop {
            let object = objects.borrow_and_update().clone();
            let plan = match &object.0 {
                Err(invalid) => Some(Err(Problem::Unreadable(invalid.error.clone()))),
                Ok(object) => {
                    self.follow(&mut database, &object.spec.database.secret_ref.name);
                    self.follow(&mut broker, &object.spec.broker.secret_ref.name);
                    plan(object, &References { database: seen(&database), broker: seen(&broker) })
                }
            };
            let generation = object.metadata().generation;
            let planned = plan.map(|plan| Planned { generation, plan });
            let changed = async {
                tokio::select! {
                    // The supervisor keeps its end for as long as this runs.
                    _ = objects.changed() => {}
                    () = changed(&mut database) => {}
                    () = changed(&mut broker) => {}
                }
            };
            if self.is_worth_waiting(planned.as_ref()) {
                if tokio::time::timeout(COME_BACK, changed).await.is_ok() {
                    continue;
                }
                self.send(planned);
                tokio::select! {
                    _ = objects.changed() => {}
                    () = self::changed(&mut database) => {}
                    () = self::changed(&mut broker) => {}
                }
            } else {
                self.send(planned);
                changed.await;
            }
        }
    }

    /// A publisher is at work, and what is in the way of its next plan may be over in a moment.
    fn is_worth_waiting(&self, planned: Option<&Planned>) -> bool {
        let is_at_work = self.plans.borrow().as_ref().is_some_and(|planned| planned.plan.is_ok());
        let may_pass = |planned: &Planned| matches!(&planned.plan, Err(problem) if problem.may_pass());
        is_at_work && planned.is_none_or(may_pass)
    }

    fn send(&self, planned: Option<Planned>) {
        self.plans.send_if_modified(|before| {
            let changed = *before != planned;
            *before = planned;
            changed
        });
    }

    fn follow(&self, followed: &mut Option<Followed>, name: &str) {
        if followed.as_ref().is_none_or(|followed| followed.name != name) {
            let secrets: Api<Secret> = Api::namespaced(self.context.client.clone(), &self.context.namespace);
            *followed = Some(Followed::new(secrets, name.to_owned()));
        }
    }

    /// Publishes as planned, until stopped.
    async fn publish(&self, mut leadership: watch::Receiver<Leadership>) {
        let mut plans = self.plans.subscribe();
        while !self.stop.is_cancelled() {
            let planned = plans.borrow_and_update().clone();
            let outcome = match planned {
                Some(Planned { generation, plan: Ok(plan) }) => {
                    self.carry_out(&plan, generation, &mut plans, &mut leadership).await
                }
                _ => {
                    self.running.send_replace(None);
                    self.until_changed(&mut plans).await;
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                // What could not be parsed was refused by the plan, so this is a matter of resources.
                tracing::warn!(error = format!("{error:#}"), "the publisher cannot be made");
                tokio::time::sleep(WARM_UP).await;
            }
        }
    }

    async fn until_changed(&self, plans: &mut watch::Receiver<Option<Planned>>) {
        tokio::select! {
            _ = plans.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits until there is another plan than `plan`, or the worker is stopped. The same plan of a newer object needs nothing done.
    async fn until_another(&self, plan: &Plan, plans: &mut watch::Receiver<Option<Planned>>) {
        while !self.stop.is_cancelled() {
            match plans.borrow_and_update().clone() {
                Some(Planned { generation, plan: Ok(same) }) if same == *plan => {
                    self.running.send_if_modified(|running| match running {
                        Some(running) if running.generation != generation => {
                            running.generation = generation;
                            true
                        }
                        _ => false,
                    });
                }
                _ => return,
            }
            self.until_changed(plans).await;
        }
    }

    /// Publishes while elected, stands by while not, until the plan changes or the worker is stopped.
    async fn carry_out(
        &self,
        plan: &Plan,
        generation: Option<i64>,
        plans: &mut watch::Receiver<Option<Planned>>,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> anyhow::Result<()> {
        let name = self.objects.borrow().name().to_owned();
        let database = database::lazily(&plan.database, sessions(&plan.schema))?;
        let store = crate::store(&database);
        if plan.paused {
            self.running.send_replace(Some(Running { generation, store, progress: None }));
            self.until_another(plan, plans).await;
            return Ok(());
        }
        let lease = self.context.elections.lease();
        let connection =
            format!("outbox publisher {}/{name} of {}", self.context.namespace, self.context.identity);
        let transport = plan.broker()?.publisher(plan.transport(connection, lease));
        // Two objects of one outbox are two publishers, though one process may be both.
        let holder = format!("{} for {}/{name}", self.context.identity, self.context.namespace);
        let options = plan.options(&holder, lease);
        let mut publisher = Publisher::new(store.clone(), transport, options, self.context.metrics.of(&name));
        let progress = Some(publisher.progress());
        self.running.send_replace(Some(Running { generation, store, progress }));
        let halt = self.stop.child_token();
        let mut working = pin!(take_turns(&mut publisher, leadership, &halt));
        tokio::select! {
            () = &mut working => {}
            () = self.until_another(plan, plans) => {
                // The window in flight is finished and marked before the next plan's publisher begins.
                halt.cancel();
                working.await;
            }
        }
        Ok(())
    }
}

/// Publishes while this replica leads, and stands by while another does, until halted.
async fn take_turns(
    publisher: &mut Publisher,
    leadership: &mut watch::Receiver<Leadership>,
    halt: &CancellationToken,
) {
    while !halt.is_cancelled() {
        let tenure = tokio::select! {
            biased;
            tenure = elected(leadership) => tenure,
            never = stand_by(publisher) => match never {},
            () = halt.cancelled() => return,
        };
        publisher.run_for(&tenure, halt).await;
    }
}

/// Waits until this replica leads, by a tenure that lasts.
pub(super) async fn elected(leadership: &mut watch::Receiver<Leadership>) -> Tenure {
    loop {
        let tenure = leadership.borrow_and_update().tenure.clone();
        if let Some(tenure) = tenure.filter(|tenure| !tenure.is_over()) {
            return tenure;
        }
        // A renewal may come in the very moment in which the tenure before it is over, and changes nothing but its end.
        let _ = tokio::time::timeout(LOOK_AGAIN, leadership.changed()).await;
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

fn seen(followed: &Option<Followed>) -> &Seen {
    followed.as_ref().map_or(&Seen::Nothing, |followed| &followed.seen)
}

async fn changed(followed: &mut Option<Followed>) {
    match followed {
        Some(followed) => followed.changed().await,
        None => std::future::pending().await,
    }
}
