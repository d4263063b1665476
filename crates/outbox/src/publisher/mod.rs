//! The publisher: takes the lease, carries rows to the broker in windows, marks them, and steps back in doubt.

mod floor;
mod lead;
mod marking;

use std::{sync::Arc, time::Duration};

use sea_orm::DbErr;
use shop_messaging::PublishError;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

pub use self::lead::until_counted_again;
use crate::{
    Options, OutboxMetrics, Stats, Store, Tenure, boottime,
    cause::{cause, is_missing_table},
    fence::Lease,
    metrics::Source,
    retry::{backoff, jittered},
    wake::{self, Woken},
};

/// How often a follower looks whether the lease has run out; one that is given back is told of.
const LOOK_FOR_THE_LEASE: Duration = Duration::from_secs(1);

/// How long another publisher's taking over is trouble, though this one has taken the lease back.
const RIVALRY: Duration = Duration::from_secs(10);

/// How long giving the lease back may take where another is elected elsewhere: it can take the lease as it is.
const GIVE_BACK: Duration = Duration::from_secs(1);

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

/// Why nothing is published, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The database is away, or refuses.
    #[error("the database: {0}")]
    Database(String),
    /// The database has no outbox: its tables are not there, or not in this schema.
    #[error("the database: {0}")]
    NoOutbox(String),
    /// The broker is away, refuses, or does not answer.
    #[error("{0}")]
    Broker(String),
    /// The broker still keeps the connection of the publisher before, which may have been this one: it ends by itself.
    #[error("{0}")]
    Predecessor(String),
    /// Another publisher is at work on the same outbox: at the broker, or in the database.
    #[error("{0}")]
    Rival(String),
}

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

/// How often another publisher has taken over from this one, though this one is elected.
#[derive(Debug, Default)]
struct Rivalry {
    times: u32,
    last: Option<Instant>,
    /// Since when the broker's fence is closed.
    shut_out: Option<Instant>,
}

impl Rivalry {
    /// Once more. Answers how long to leave the outbox to the other, ever longer: two that both believe to be the one are not to
    /// take it from each other at the speed at which they could.
    fn again(&mut self) -> Duration {
        self.times = if self.is_younger_than(6 * RIVALRY) { self.times + 1 } else { 1 };
        self.last = Some(Instant::now());
        backoff(LOOK_FOR_THE_LEASE, 2 * RIVALRY, self.times)
    }

    /// The broker's fence is closed, or something else is in the way.
    fn note(&mut self, obstacle: &Obstacle) {
        match obstacle {
            Obstacle::Broker(PublishError::Fenced(_)) => {
                self.shut_out.get_or_insert_with(Instant::now);
            }
            Obstacle::Broker(_) => self.shut_out = None,
            // Says nothing of the broker.
            Obstacle::Database(_) => {}
        }
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.last.is_some_and(|last| last.elapsed() < age)
    }
}

/// Why a lease's time ended.
#[derive(Debug)]
enum End {
    /// The process is stopping, and everything in flight was marked.
    Stopped,
    /// Another publisher has, or may have, taken over.
    Fenced,
}

/// What a publisher cannot work without, failing.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

/// Who says which publisher may publish. Whoever it is, the epoch in the database keeps all others from marking.
#[derive(Clone, Copy)]
enum Referee<'a> {
    /// The lease in the database: it is taken when it is free.
    Database,
    /// Whoever granted this: the lease in the database is taken from any other holder, for as long as this lasts.
    Tenure(&'a Tenure),
}

impl Referee<'_> {
    fn has_dismissed(self) -> bool {
        matches!(self, Self::Tenure(tenure) if tenure.is_over())
    }

    /// Waits until the right to publish is withdrawn; for ever where the database decides.
    async fn dismissal(self) {
        match self {
            Self::Database => std::future::pending().await,
            Self::Tenure(tenure) => tenure.ended().await,
        }
    }
}

impl Publisher {
    /// A publisher of `store`'s rows through `transport`. It does nothing until [`Publisher::run`].
    pub fn new(
        store: Store,
        transport: Box<dyn shop_messaging::Publisher>,
        options: Options,
        metrics: OutboxMetrics,
    ) -> Self {
        let (progress, woken, rivalry) = Default::default();
        Self { store, transport, options, metrics, progress, woken, rivalry }
    }

    /// Follows the publisher from outside.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Publishes until `stop`: then the window in flight is finished and marked, and the lease given back. The database decides
    /// who publishes.
    ///
    /// Nothing ends it but `stop`: a database or a broker that is away is waited for, with jittered back-off.
    pub async fn run(mut self, stop: CancellationToken) {
        self.run_under(Referee::Database, &stop).await;
    }

    /// Publishes while `tenure` lasts, or until `stop`: then the window in flight is finished and marked. Somebody else decides
    /// who publishes, such as the holder of a Kubernetes Lease; whoever held the lease in the database loses it.
    ///
    /// Nothing else ends it. Another publisher that takes over meanwhile is told of as [`Trouble::Rival`], and taken over from.
    pub async fn run_for(&mut self, tenure: &Tenure, stop: &CancellationToken) {
        self.run_under(Referee::Tenure(tenure), stop).await;
    }

    /// Connects to the database and to the broker, so that [`Publisher::run_for`] can begin at once. It keeps no other from
    /// publishing, and may be called again and again to keep the connections.
    ///
    /// # Errors
    /// What is away.
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

    async fn run_under(&mut self, referee: Referee<'_>, stop: &CancellationToken) {
        let (database, woken) = (self.store.database().clone(), self.woken.clone());
        tokio::select! {
            never = wake::listen(&database, &woken) => match never {},
            () = self.take_turns(referee, stop) => {}
        }
    }

    async fn take_turns(&mut self, referee: Referee<'_>, stop: &CancellationToken) {
        while let Some(lease) = self.take_the_lease(referee, stop).await {
            tracing::info!(epoch = lease.epoch, holder = self.options.holder, "publishing");
            self.metrics.epoch.set(lease.epoch);
            self.metrics.leader.set(1);
            self.progress.send_modify(|progress| {
                progress.leading = true;
                progress.epoch = lease.epoch;
            });
            let end = self.lead(&lease, stop).await;
            self.metrics.leader.set(0);
            // Before the lease is given back: the next leader must find the broker's own fence open.
            self.transport.close().await;
            self.progress.send_modify(|progress| {
                progress.leading = false;
                progress.publishing = false;
                // It is for the next leader to count, and this one will find other numbers when it leads again.
                progress.stats = None;
            });
            match end {
                End::Stopped => return self.give_back(&lease, referee).await,
                End::Fenced => tracing::warn!(epoch = lease.epoch, "lost the lease, stopped publishing"),
            }
            if let Referee::Tenure(tenure) = referee {
                tokio::select! {
                    () = self.look_for_a_rival(&lease, tenure) => {}
                    () = tenure.ended() => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// The lease is lost, and whoever grants `tenure` has not said so: to another publisher, or only because the database was away
    /// for too long. Another is told of, and left alone for a while.
    async fn look_for_a_rival(&mut self, lease: &Lease, tenure: &Tenure) {
        let lost = boottime();
        let Ok(Ok(Some(leader))) = tokio::time::timeout(LOOK_FOR_THE_LEASE, self.store.leader()).await else {
            return;
        };
        // A lower epoch is an older state of the database. And what this one asked for may have been done without an answer.
        if leader.epoch <= lease.epoch || leader.holder == self.options.holder {
            return;
        }
        // Whoever was granted the right after this one is no rival: then the next renewal is refused.
        let confirmed = tokio::time::timeout(self.options.lease, tenure.confirmed_after(lost));
        if confirmed.await.is_err() {
            tracing::debug!("nobody has confirmed or refused the tenure since");
        }
        let rival = format!("another publisher, {:?}, has taken over this outbox", leader.holder);
        let pause = self.rivalry.again();
        self.trouble(Some(Trouble::Rival(rival)));
        tokio::time::sleep(jittered(pause)).await;
    }

    async fn give_back(&mut self, lease: &Lease, referee: Referee<'_>) {
        let store = self.store.clone();
        let giving = async {
            if let Err(error) = store.set_asleep(false).await {
                tracing::debug!(error = %error, "writers will notify until somebody leads");
            }
            store.release(lease).await
        };
        let given = match referee {
            Referee::Database => giving.await.map_err(|error| error.to_string()),
            Referee::Tenure(_) => match tokio::time::timeout(GIVE_BACK, giving).await {
                Ok(given) => given.map_err(|error| error.to_string()),
                Err(_) => Err("the database does not answer".to_owned()),
            },
        };
        if let Err(error) = given {
            tracing::warn!(error, "the lease was not given back, it will run out");
        }
        tracing::info!(epoch = lease.epoch, "stopped publishing");
    }

    /// Waits until the lease can be had; `None` when stopped, or dismissed.
    async fn take_the_lease(&mut self, referee: Referee<'_>, stop: &CancellationToken) -> Option<Lease> {
        let mut failures = 0;
        while !stop.is_cancelled() && !referee.has_dismissed() {
            let (holder, term) = (&self.options.holder, self.options.lease);
            let taken = async {
                let taken = match referee {
                    Referee::Database => self.store.acquire(holder, term).await,
                    Referee::Tenure(tenure) => self.store.take_over(holder, term, tenure).await,
                };
                match taken {
                    Ok(lease) => Ok(lease),
                    Err(error) => Err(database_trouble(&self.store, &error).await),
                }
            };
            // A database that is silent must not keep anybody: what was asked for may be done all the same, and is one more epoch.
            let taken = tokio::select! {
                taken = taken => taken,
                () = stop.cancelled(), if matches!(referee, Referee::Tenure(_)) => return None,
                () = referee.dismissal() => return None,
            };
            let pause = match taken {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => {
                    failures = 0;
                    self.trouble(None);
                    LOOK_FOR_THE_LEASE
                }
                Err(trouble) => {
                    failures += 1;
                    self.report(trouble, failures)
                }
            };
            tokio::select! {
                () = rest(jittered(pause), stop) => {}
                () = referee.dismissal() => {}
                () = self.woken.lease.notified(), if failures == 0 => {}
            }
        }
        None
    }

    /// What `obstacle` is for people. It may have to ask, for some seconds at most.
    async fn trouble_behind(&mut self, obstacle: &Obstacle) -> Trouble {
        match obstacle {
            Obstacle::Database(error) => database_trouble(&self.store, error).await,
            // A connection that was lost is not missed at once. What is shut out for longer is so by somebody who is alive.
            Obstacle::Broker(error @ PublishError::Fenced(name)) => {
                let since = self.rivalry.shut_out.map(|since| since.elapsed()).unwrap_or_default();
                if since < 2 * self.options.lease + RIVALRY / 2 {
                    Trouble::Predecessor(format!(
                        "the broker keeps the connection of the publisher before until it misses it ({name})"
                    ))
                } else {
                    Trouble::Rival(error.to_string())
                }
            }
            Obstacle::Broker(error) => Trouble::Broker(error.to_string()),
        }
    }

    /// Tells of `trouble` in log, metrics and progress; answers how long to wait before the next try.
    fn report(&self, trouble: Trouble, failures: u32) -> Duration {
        // The one before is on its way out: its connection ends soon, by itself or by the broker's heartbeats.
        let longest = if matches!(trouble, Trouble::Rival(_) | Trouble::Predecessor(_)) {
            Duration::from_millis(500)
        } else {
            Duration::from_secs(5)
        };
        let pause = backoff(Duration::from_millis(200), longest, failures);
        self.metrics.failed(match trouble {
            Trouble::Database(_) | Trouble::NoOutbox(_) => Source::Database,
            Trouble::Broker(_) | Trouble::Predecessor(_) | Trouble::Rival(_) => Source::Broker,
        });
        // The first is news, and so is one that lasts; the many between are not.
        if failures.is_power_of_two() {
            tracing::warn!(error = %trouble, failures, ?pause, "nothing is published until this is over");
        }
        self.trouble(Some(trouble));
        pause
    }

    fn trouble(&self, trouble: Option<Trouble>) {
        self.progress.send_if_modified(|progress| {
            let publishing = progress.publishing && trouble.is_none();
            let changed = progress.trouble != trouble || progress.publishing != publishing;
            progress.trouble = trouble;
            progress.publishing = publishing;
            changed
        });
    }

    /// The database and the broker are there, and nobody is in the way.
    fn all_is_well(&mut self) {
        self.rivalry.shut_out = None;
        if self.rivalry.is_younger_than(RIVALRY) {
            return;
        }
        self.progress.send_if_modified(|progress| {
            let changed = !progress.publishing || progress.trouble.is_some();
            progress.publishing = true;
            progress.trouble = None;
            changed
        });
    }
}

/// What `error` of the outbox's database is for people.
async fn database_trouble(store: &Store, error: &DbErr) -> Trouble {
    let words = cause(store, error).await;
    if is_missing_table(error) { Trouble::NoOutbox(words) } else { Trouble::Database(words) }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}
