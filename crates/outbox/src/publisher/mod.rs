//! The publisher: takes the lease, publishes rows in windows, marks them, and gives up the lease when in doubt.

mod chores;
mod floor;
mod marking;
mod obstacle;
mod progress;
mod publish;
mod report;
mod rivalry;
mod spans;
mod trouble;
mod turn;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{chores::until_counted_again, progress::Progress, trouble::Trouble};
use self::{
    obstacle::{Obstacle, database_trouble},
    rivalry::Rivalry,
    turn::End,
};
use crate::{
    Options, OutboxMetrics, Store, Tenure, boottime,
    fence::Lease,
    retry::jittered,
    wake::{self, Woken},
};

/// How often a follower checks whether the lease has expired. A leader that releases it notifies the followers.
const LOOK_FOR_THE_LEASE: Duration = Duration::from_secs(1);

/// How long releasing the lease may take if the leader is elected elsewhere: the next leader can take the lease anyway.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// Publishes an outbox. Many may run; the one that holds the lease publishes.
pub struct Publisher {
    store: Store,
    transport: Box<dyn shop_messaging::Publisher>,
    options: Options,
    metrics: OutboxMetrics,
    progress: watch::Sender<Progress>,
    woken: Arc<Woken>,
    rivalry: Rivalry,
}

impl Publisher {
    /// Creates a publisher of `store`'s rows through `transport`. It does nothing until [`Publisher::run`].
    pub fn new(
        store: Store,
        transport: Box<dyn shop_messaging::Publisher>,
        options: Options,
        metrics: OutboxMetrics,
    ) -> Self {
        let (progress, woken, rivalry) = Default::default();
        Self { store, transport, options, metrics, progress, woken, rivalry }
    }

    /// Reports the publisher's progress.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Publishes until `stop`; then the window in flight is finished and marked, and the lease is released. The database
    /// decides who publishes.
    ///
    /// Only `stop` ends it: it waits for a database or a broker that is away, with jittered back-off.
    pub async fn run(mut self, stop: CancellationToken) {
        self.run_under(None, &stop).await;
    }

    /// Publishes while `tenure` lasts, or until `stop`; then the window in flight is finished and marked. Somebody else
    /// decides who publishes, such as the elector of a Kubernetes Lease; any other holder of the lease in the database loses it.
    ///
    /// Nothing else ends it. If another publisher takes over meanwhile, that is reported as [`Trouble::Rival`], and the other then loses the lease
    /// again.
    pub async fn run_for(&mut self, tenure: &Tenure, stop: &CancellationToken) {
        self.run_under(Some(tenure), stop).await;
    }

    /// Connects to the database and to the broker, so that [`Publisher::run_for`] can begin at once. It does not prevent others from
    /// publishing, and can be called repeatedly to keep the connections open.
    ///
    /// # Errors
    /// Which of them is away.
    pub async fn warm_up(&mut self, deadline: Duration) -> Result<(), Trouble> {
        let answer = async {
            self.store.ping().await.map_err(Obstacle::from)?;
            self.transport.warm_up(deadline).await.map_err(Obstacle::from)
        };
        match answer.await {
            Ok(()) => Ok(()),
            Err(obstacle) => Err(self.trouble_behind(&obstacle).await),
        }
    }

    /// Without a `tenure` the database decides who publishes. With one, somebody else does: the lease in the database is taken from any
    /// other holder, for as long as the tenure lasts. Either way the epoch in the database keeps all others from marking.
    async fn run_under(&mut self, tenure: Option<&Tenure>, stop: &CancellationToken) {
        let (store, woken) = (self.store.clone(), self.woken.clone());
        tokio::select! {
            never = wake::listen(&store, &woken) => match never {},
            () = self.take_turns(tenure, stop) => {}
        }
    }

    async fn take_turns(&mut self, tenure: Option<&Tenure>, stop: &CancellationToken) {
        while let Some(lease) = self.take_the_lease(tenure, stop).await {
            tracing::info!(epoch = lease.epoch, holder = self.options.holder, "publishing");
            self.metrics.epoch.set(lease.epoch);
            self.metrics.leader.set(1);
            self.progress.send_modify(|progress| {
                progress.leading = true;
                progress.epoch = lease.epoch;
            });
            let end = self.publish_under(&lease, stop).await;
            self.metrics.leader.set(0);
            // Before the lease is released: the next leader must find the broker's own fence open.
            self.transport.close().await;
            self.progress.send_modify(|progress| {
                progress.leading = false;
                progress.publishing = false;
                // The next leader counts from now on, and this one will count again when it leads again.
                progress.stats = None;
            });
            match end {
                End::Stopped => return self.give_back(&lease, tenure).await,
                End::Fenced => tracing::warn!(epoch = lease.epoch, "lost the lease, stopped publishing"),
            }
            if let Some(tenure) = tenure {
                tokio::select! {
                    () = self.look_for_a_rival(&lease, tenure) => {}
                    () = tenure.ended() => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// The lease is lost, though `tenure` has not ended: to another publisher, or only because the database was away for too long.
    /// Another publisher is reported, and left alone for a while.
    async fn look_for_a_rival(&mut self, lease: &Lease, tenure: &Tenure) {
        let lost = boottime();
        let Ok(Ok(Some(leader))) = tokio::time::timeout(LOOK_FOR_THE_LEASE, self.store.leader()).await else {
            return;
        };
        // A lower epoch is an older state of the database. And our own request may have succeeded without an answer.
        if leader.epoch <= lease.epoch || leader.holder == self.options.holder {
            return;
        }
        // A publisher that was granted the right after this one is not a rival: then the next renewal is refused.
        let confirmed = tokio::time::timeout(self.options.lease, tenure.confirmed_after(lost));
        if confirmed.await.is_err() {
            tracing::debug!("nobody has confirmed or refused the tenure since");
        }
        let rival = format!("another publisher, {:?}, has taken over this outbox", leader.holder);
        let pause = self.rivalry.again();
        self.trouble(Some(Trouble::Rival(rival)));
        tokio::time::sleep(pause).await;
    }

    async fn give_back(&mut self, lease: &Lease, tenure: Option<&Tenure>) {
        let store = self.store.clone();
        let giving = async {
            if let Err(error) = store.set_asleep(false).await {
                tracing::debug!(error = %error, "writers will notify until somebody leads");
            }
            store.release(lease).await
        };
        let given = match tenure {
            None => giving.await.map_err(|error| error.to_string()),
            Some(_) => match tokio::time::timeout(GIVE_BACK, giving).await {
                Ok(given) => given.map_err(|error| error.to_string()),
                Err(_) => Err("the database does not answer".to_owned()),
            },
        };
        if let Err(error) = given {
            tracing::warn!(error, "the lease was not given back, it will expire");
        }
        tracing::info!(epoch = lease.epoch, "stopped publishing");
    }

    /// Waits until the lease is available; `None` when it is time to stop, or the tenure has ended.
    async fn take_the_lease(&mut self, tenure: Option<&Tenure>, stop: &CancellationToken) -> Option<Lease> {
        let mut failures = 0;
        while !stop.is_cancelled() && !tenure.is_some_and(Tenure::is_over) {
            // A silent database must not block us: the request may succeed anyway, which only raises the epoch once more.
            let taken = tokio::select! {
                taken = try_to_take_the_lease(&self.store, &self.options, tenure) => taken,
                () = stop.cancelled(), if tenure.is_some() => return None,
                () = ended(tenure) => return None,
            };
            let pause = match taken {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => {
                    failures = 0;
                    self.trouble(None);
                    jittered(LOOK_FOR_THE_LEASE)
                }
                Err(trouble) => {
                    failures += 1;
                    let pause = trouble.pause(failures, rand::random());
                    self.report(trouble, failures, pause);
                    pause
                }
            };
            tokio::select! {
                () = rest(pause, stop) => {}
                () = ended(tenure) => {}
                () = self.woken.lease.notified(), if failures == 0 => {}
            }
        }
        None
    }
}

async fn try_to_take_the_lease(
    store: &Store,
    options: &Options,
    tenure: Option<&Tenure>,
) -> Result<Option<Lease>, Trouble> {
    let taken = match tenure {
        None => store.acquire(&options.holder, options.lease).await,
        Some(tenure) => store.take_over(&options.holder, options.lease, tenure).await,
    };
    match taken {
        Ok(lease) => Ok(lease),
        Err(error) => Err(database_trouble(store, &error).await),
    }
}

/// Waits for the end of the granted right; forever if the database decides.
async fn ended(tenure: Option<&Tenure>) {
    match tenure {
        Some(tenure) => tenure.ended().await,
        None => std::future::pending().await,
    }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}
