//! The faults of the leader in a soak.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::Signal;
use shop_testing::{Dice, Held, Proxy};
use tokio::time::sleep;

use super::{
    place::{OBJECT, Place, leads},
    until,
};
use crate::process::{Process, get};

/// How long recovery may take, in addition to the Lease.
const PATIENCE: Duration = Duration::from_secs(60);
/// Without faults, rows wait no longer than this.
const LAG: Duration = Duration::from_millis(500);
/// How long until a momentary fault has been noticed.
const NOTICED: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Killed,
    Terminated,
    Stopped,
    CutFromApi,
    CutFromDatabase,
    CutFromBroker,
    SessionsEnded,
    ConnectionClosed,
    ApiFrozen,
    LeaseDeleted,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Killed,
        Self::Terminated,
        Self::Stopped,
        Self::CutFromApi,
        Self::CutFromDatabase,
        Self::CutFromBroker,
        Self::SessionsEnded,
        Self::ConnectionClosed,
        Self::ApiFrozen,
        Self::LeaseDeleted,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL)",
            Self::Terminated => "terminated (SIGTERM)",
            Self::Stopped => "stopped past its Lease and continued",
            Self::CutFromApi => "cut off from the API",
            Self::CutFromDatabase => "cut off from the database",
            Self::CutFromBroker => "cut off from the broker",
            Self::SessionsEnded => "database sessions ended",
            Self::ConnectionClosed => "broker connection closed",
            Self::ApiFrozen => "API server frozen",
            Self::LeaseDeleted => "Lease deleted",
        }
    }
}

/// A planned fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    /// How long it lasts, in percent of a Lease; some kinds last at least a Lease, some are momentary.
    lasts: u32,
    /// The time without faults before it.
    pub(crate) pause: Duration,
}

/// Plans `count` faults of all kinds; none repeats before all have occurred.
pub(crate) fn plan(count: usize, dice: &mut Dice) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut left = Vec::new();
    while planned.len() < count {
        if left.is_empty() {
            left = Kind::ALL.to_vec();
        }
        let kind = left.swap_remove(dice.below(left.len() as u64) as usize);
        let lasts = dice.between(50, 200) as u32;
        planned.push(Planned { kind, lasts, pause: dice.millis(500, 2_500) });
    }
    planned
}

/// One replica: its process, unless it has just ended, and its path to the API.
struct Replica {
    name: &'static str,
    process: Option<Process>,
    api: Proxy,
    kubeconfig: PathBuf,
}

/// Everything that can be broken.
pub(crate) struct Stage<'a> {
    place: &'a Place,
    replicas: Vec<Replica>,
    database: Proxy,
    broker: Proxy,
    lease: Duration,
}

impl<'a> Stage<'a> {
    /// Creates the object, and starts replicas called `names`.
    pub(crate) async fn set(
        place: &'a Place,
        names: &[&'static str],
        lease: Duration,
    ) -> anyhow::Result<Self> {
        let database = Proxy::to(&place.database.url).await;
        let broker = Proxy::to(&place.rabbitmq.url).await;
        place.describe(database.url(), broker.url()).await;
        let mut replicas = Vec::new();
        for name in names {
            let api = place.cluster.proxy().await;
            let kubeconfig = place.cluster.kubeconfig_through(&api, None);
            let process = Some(place.controller(name, &kubeconfig).await?);
            replicas.push(Replica { name, process, api, kubeconfig });
        }
        Ok(Self { place, replicas, database, broker, lease })
    }

    /// Makes `fault` happen to the leader. Afterwards it is over, but its effects may not be. Returns how long it lasted.
    pub(crate) async fn suffer(&mut self, fault: Planned) -> anyhow::Result<Duration> {
        let leader = self.leader().await?;
        let lasts = self.lease * fault.lasts / 100;
        // Long enough for another to lead.
        let past_the_lease = self.lease + lasts;
        let began = Instant::now();
        match fault.kind {
            Kind::Killed => {
                self.take(leader)?.kill()?;
                sleep(lasts).await;
                self.start(leader).await?;
            }
            Kind::Terminated => {
                self.take(leader)?.stop().await?;
                self.start(leader).await?;
            }
            Kind::Stopped => {
                self.process(leader)?.signal(Signal::STOP)?;
                sleep(past_the_lease).await;
                self.process(leader)?.signal(Signal::CONT)?;
            }
            Kind::CutFromApi => {
                self.replicas[leader].api.hold(Held::Everything);
                sleep(past_the_lease).await;
                self.replicas[leader].api.hold(Held::Nothing);
            }
            Kind::CutFromDatabase => {
                self.database.hold_of(self.process(leader)?.id(), Held::Everything);
                sleep(lasts).await;
                self.database.hold(Held::Nothing);
            }
            Kind::CutFromBroker => {
                self.broker.hold_of(self.process(leader)?.id(), Held::Everything);
                sleep(lasts).await;
                self.broker.hold(Held::Nothing);
            }
            Kind::SessionsEnded => {
                let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                           WHERE datname = current_database() AND application_name = 'orders'";
                sqlx::query(end).execute(&self.place.pool).await?;
            }
            Kind::ConnectionClosed => {
                let (namespace, holder) = (&self.place.cluster.namespace, self.place.holder().await);
                let connection = format!("outbox publisher {namespace}/{OBJECT} of {holder}");
                self.place.rabbitmq.close_connections(&connection).await;
            }
            Kind::ApiFrozen => {
                self.place.api.freeze().await;
                sleep(lasts).await;
                self.place.api.thaw().await;
            }
            Kind::LeaseDeleted => {
                let lease = format!("outboxpublisher-{OBJECT}");
                self.place.cluster.kubectl(&["delete", "lease", &lease]).await;
            }
        }
        let lasted = began.elapsed();
        sleep(NOTICED).await;
        Ok(lasted)
    }

    /// Waits until one leads, the others are ready to, and nothing is waiting.
    pub(crate) async fn calm(&self) -> anyhow::Result<()> {
        until("everything is as before", PATIENCE + 2 * self.lease, async || self.is_calm().await).await
    }

    async fn is_calm(&self) -> bool {
        let mut leading = 0;
        for process in self.replicas.iter().filter_map(|replica| replica.process.as_ref()) {
            let ready = tokio::time::timeout(NOTICED, get(process.address, "/readyz")).await;
            if !matches!(ready, Ok(Ok((200, _)))) {
                return false;
            }
            leading += usize::from(leads(process).await);
        }
        leading == 1 && self.place.lag().await.is_ok_and(|lag| lag < LAG)
    }

    /// Stops all of them gracefully, the followers first.
    pub(crate) async fn strike(mut self) -> anyhow::Result<()> {
        let leader = self.leader().await?;
        let leader = self.take(leader)?;
        for process in self.replicas.into_iter().filter_map(|replica| replica.process).chain([leader]) {
            process.stop().await?;
        }
        Ok(())
    }

    async fn leader(&self) -> anyhow::Result<usize> {
        for (number, replica) in self.replicas.iter().enumerate() {
            if let Some(process) = &replica.process
                && leads(process).await
            {
                return Ok(number);
            }
        }
        anyhow::bail!("nobody leads")
    }

    fn process(&self, replica: usize) -> anyhow::Result<&Process> {
        self.replicas[replica].process.as_ref().context("it has ended")
    }

    fn take(&mut self, replica: usize) -> anyhow::Result<Process> {
        self.replicas[replica].process.take().context("it has ended")
    }

    async fn start(&mut self, replica: usize) -> anyhow::Result<()> {
        let Replica { name, kubeconfig, .. } = &self.replicas[replica];
        self.replicas[replica].process = Some(self.place.controller(name, kubeconfig).await?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_faults_are_of_ten_kinds_in_the_seeds_order() {
        let kinds =
            |seed| plan(10, &mut Dice::new(seed)).iter().map(|planned| planned.kind).collect::<Vec<_>>();
        let (one, other) = (kinds(1), kinds(2));
        assert!(Kind::ALL.iter().all(|kind| one.contains(kind) && other.contains(kind)));
        assert_ne!(one, other);
        assert_eq!(one, kinds(1));
    }
}
