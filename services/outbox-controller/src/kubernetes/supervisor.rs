//! Keeps a worker for each object of the namespace: starts it with the object, passes changes on to it, and ends it with the object.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _};
use kube::{Api, ResourceExt as _, core::DeserializeGuard, runtime::watcher};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{context::Context, object::Object, worker::Worker};
use crate::{following, object::OutboxPublisher};

/// How long an object is left alone after its worker has panicked.
const AFTER_A_PANIC: Duration = Duration::from_secs(5);

/// Longer than a watch waits before it is tried again.
const RECENT: Duration = Duration::from_secs(30);

/// The supervisor's state, for readiness.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// The objects were listed once.
    pub(super) known: bool,
    /// What last kept their changes from being seen, and when.
    failed: Option<(String, Instant)>,
}

impl State {
    /// Why the objects' changes are not seen at the moment. A watch that goes on after a failure says nothing of it, so what is
    /// older than the longest pause between two tries is over.
    pub(super) fn trouble(&self) -> Option<String> {
        let (error, at) = self.failed.as_ref()?;
        (at.elapsed() < RECENT).then(|| error.clone())
    }
}

pub(super) struct Supervisor {
    context: Arc<Context>,
    workers: BTreeMap<String, Working>,
    /// Each returns its object's name.
    tasks: JoinSet<String>,
    state: watch::Sender<State>,
}

/// A worker as the supervisor knows it.
struct Working {
    object: watch::Sender<Object>,
    stop: CancellationToken,
    /// Set once it has been told to stop: what comes after it, if anything.
    next: Option<Option<Object>>,
}

impl Supervisor {
    pub(super) fn new(context: Context) -> (Self, watch::Receiver<State>) {
        let state = watch::Sender::default();
        let receiver = state.subscribe();
        let (workers, tasks) = (BTreeMap::new(), JoinSet::new());
        (Self { context: Arc::new(context), workers, tasks, state }, receiver)
    }

    /// Works until `stop`, then stops all workers and waits for them.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let objects: Api<DeserializeGuard<OutboxPublisher>> =
            Api::namespaced(self.context.client.clone(), &self.context.namespace);
        let mut events = following::all(objects, watcher::Config::default()).boxed();
        let mut listed = BTreeSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                Some(event) = events.next() => self.seen(event, &mut listed),
            }
        }
        for worker in self.workers.values_mut() {
            worker.next = Some(None);
            worker.stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn seen(
        &mut self,
        event: watcher::Result<watcher::Event<DeserializeGuard<OutboxPublisher>>>,
        listed: &mut BTreeSet<String>,
    ) {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(object.name_any());
                self.apply(object);
            }
            Ok(watcher::Event::InitDone) => {
                let gone: Vec<String> =
                    self.workers.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                for name in gone {
                    self.end(&name, None);
                }
                self.state.send_modify(|state| *state = State { known: true, failed: None });
            }
            Ok(watcher::Event::Apply(object)) => self.apply(object),
            Ok(watcher::Event::Delete(object)) => self.end(&object.name_any(), None),
            Err(error) => {
                tracing::warn!(error = %error, "the objects are not watched, for now");
                self.state.send_modify(|state| state.failed = Some((error.to_string(), Instant::now())));
            }
        }
    }

    fn apply(&mut self, object: DeserializeGuard<OutboxPublisher>) {
        let object = Object::from(object);
        let name = object.name().to_owned();
        if object.is_being_deleted() {
            return self.end(&name, None);
        }
        match self.workers.get_mut(&name) {
            None => self.start(object),
            // Created again under the same name: this is a new object, with its own election.
            Some(worker) if worker.next.is_some() || worker.object.borrow().uid() != object.uid() => {
                self.end(&name, Some(object));
            }
            Some(worker) => {
                worker.object.send_replace(object);
            }
        }
    }

    fn start(&mut self, object: Object) {
        let name = object.name().to_owned();
        let (sender, receiver) = watch::channel(object);
        let stop = CancellationToken::new();
        let worker = Worker::new(self.context.clone(), receiver, stop.clone());
        self.workers.insert(name.clone(), Working { object: sender, stop: stop.clone(), next: None });
        self.tasks.spawn(async move {
            // A bug that one object triggers must not stop the others.
            if std::panic::AssertUnwindSafe(Box::pin(worker.run())).catch_unwind().await.is_err() {
                tracing::error!(outboxpublisher = name, "its worker panicked, and is started again");
                let _ = tokio::time::timeout(AFTER_A_PANIC, stop.cancelled()).await;
            }
            name
        });
    }

    /// Stops the worker of `name`; `next` is the object that replaces its own, if any.
    fn end(&mut self, name: &str, next: Option<Object>) {
        if let Some(worker) = self.workers.get_mut(name) {
            worker.next = Some(next);
            worker.stop.cancel();
        }
    }

    fn ended(&mut self, task: Result<String, tokio::task::JoinError>) {
        // It cannot fail: panics are caught, and nothing aborts it.
        let Ok(name) = task else { return };
        let Some(worker) = self.workers.remove(&name) else { return };
        let unasked = worker.object.borrow().clone();
        if let Some(object) = worker.next.unwrap_or(Some(unasked)) {
            self.start(object);
        } else {
            self.context.metrics.remove(&name);
        }
    }
}
