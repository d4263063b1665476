//! Drives the core: sends its requests to the API server, passes on what a watch reports, and announces who is the leader.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::Api;
use shop_outbox::{Tenure, boottime};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    core::{self as decisions, Answer, Core, Moment, Record, Request, Step},
    lease::{Remote, record},
    timing::Settings,
};
use crate::following;

/// How long giving the Lease back may take when stopping; after that it expires.
const RELEASE: Duration = Duration::from_secs(2);

/// The longest sleep: the timers of tokio do not count suspension, so a machine that slept is noticed this late.
const NAP: Duration = Duration::from_secs(1);

/// Whether this process is the leader or a follower.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// It is the leader, by this tenure: a new one each time that it becomes the leader, so that a loss in between is seen.
    Leader(Tenure),
    /// Another process is the leader, if known, or nobody.
    Follower { leader: Option<String> },
}

impl Standing {
    /// The leader's right to publish.
    pub(crate) fn tenure(&self) -> Option<&Tenure> {
        match self {
            Self::Leader(tenure) => Some(tenure),
            Self::Follower { .. } => None,
        }
    }
}

/// One candidate for one Lease.
pub(crate) struct Elector {
    remote: Remote,
    identity: String,
    settings: Settings,
    standing: watch::Sender<Standing>,
}

impl Elector {
    /// A candidate for the Lease `name`, known as `identity`: unique to the process, not only to the pod.
    pub(crate) fn new(
        leases: Api<Lease>,
        name: String,
        identity: String,
        owner: Option<OwnerReference>,
        settings: Settings,
    ) -> Self {
        let remote = Remote::new(leases, name, owner);
        let standing = watch::Sender::new(Standing::Follower { leader: None });
        Self { remote, identity, settings, standing }
    }

    /// Whether this process is the leader or a follower.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Takes part in the election until `stop`, then gives the Lease back if it is ours, within two seconds.
    ///
    /// All work under the tenure must have finished before `stop`, because another process may be the leader a moment later.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { remote, identity, settings, standing } = self;
        let hints = hints(&remote);
        let name = remote.name.clone();
        let mut announcer = Announcer { name, identity: identity.clone(), tenure: None, standing };
        let mut core = Core::new(identity, settings);
        let mut requests = Requests::new(remote, settings.renew_deadline / 3);
        tokio::select! {
            () = take_part(&mut core, &mut requests, &mut announcer, hints) => {}
            () = stop.cancelled() => {}
        }
        core.stop();
        announcer.announce(&core);
        if tokio::time::timeout(RELEASE, step_down(&mut core, &mut requests)).await.is_err() {
            tracing::warn!(lease = announcer.name, "the Lease was not given back, it will run out");
        }
    }
}

/// Waits forever.
async fn take_part(
    core: &mut Core,
    requests: &mut Requests,
    announcer: &mut Announcer,
    hints: impl Stream<Item = Option<Record>>,
) {
    let mut hints = std::pin::pin!(hints);
    let mut watching = true;
    loop {
        let step = core.step(moment());
        announcer.announce(core);
        let rest = match step {
            Step::Ask(request) => {
                requests.send(request);
                continue;
            }
            Step::Rest(until) => core.tenure_ends().map_or(until, |end| end.min(until)),
            Step::Done => return,
        };
        tokio::select! {
            answer = requests.answer() => core.answer(answer, moment()),
            hint = hints.next(), if watching => match hint {
                Some(record) => core.hint(record, boottime()),
                None => watching = false,
            },
            () = sleep(rest.saturating_sub(boottime()).min(NAP)) => {}
        }
    }
}

/// Gives the Lease back if it is ours.
async fn step_down(core: &mut Core, requests: &mut Requests) {
    loop {
        match core.step(moment()) {
            Step::Ask(request) => requests.send(request),
            Step::Rest(until) => tokio::select! {
                answer = requests.answer() => core.answer(answer, moment()),
                () = sleep(until.saturating_sub(boottime()).min(NAP)) => {}
            },
            Step::Done => return,
        }
    }
}

fn moment() -> Moment {
    Moment { now: boottime(), chance: rand::random() }
}

/// What a watch of the Lease reports. It may fail: without it a hand-over is only noticed later.
fn hints(remote: &Remote) -> impl Stream<Item = Option<Record>> + use<> {
    let name = remote.name.clone();
    following::one(remote.api.clone(), &remote.name).filter_map(move |seen| {
        let hint = match seen {
            Ok(lease) => Some(lease.as_ref().map(record)),
            Err(error) => {
                tracing::debug!(lease = name, error = %error, "the watch of the Lease starts again");
                None
            }
        };
        std::future::ready(hint)
    })
}

type Asking = Pin<Box<dyn Future<Output = (Remote, Answer, Option<String>)> + Send>>;

/// One request at a time, each bounded.
struct Requests {
    name: String,
    remote: Option<Remote>,
    asking: Option<Asking>,
    patience: Duration,
    failures: u32,
}

impl Requests {
    fn new(remote: Remote, patience: Duration) -> Self {
        Self { name: remote.name.clone(), remote: Some(remote), asking: None, patience, failures: 0 }
    }

    fn send(&mut self, request: Request) {
        let Some(mut remote) = self.remote.take() else { return };
        let patience = self.patience;
        self.asking = Some(Box::pin(async move {
            let (answer, error) = match tokio::time::timeout(patience, remote.ask(request)).await {
                Ok((answer, error)) => (answer, error.map(|error| error.to_string())),
                Err(_) => (Answer::Failed, Some(format!("no answer within {patience:?}"))),
            };
            (remote, answer, error)
        }));
    }

    /// The answer to what was sent; never, if nothing was. Dropping the future loses nothing.
    async fn answer(&mut self) -> Answer {
        let Some(asking) = &mut self.asking else { return std::future::pending().await };
        let (remote, answer, error) = asking.await;
        self.asking = None;
        self.remote = Some(remote);
        self.failures = if error.is_some() { self.failures + 1 } else { 0 };
        // The first is news, and so is one that lasts; the many between are not.
        if let Some(error) = error.filter(|_| self.failures.is_power_of_two()) {
            tracing::warn!(lease = self.name, error, failures = self.failures, "the Lease is out of reach");
        }
        answer
    }
}

/// Announces whether this process is the leader or a follower.
struct Announcer {
    name: String,
    identity: String,
    /// The core's tenure that the announced one stands for.
    tenure: Option<decisions::Tenure>,
    standing: watch::Sender<Standing>,
}

impl Announcer {
    /// Updates the announcement to the core's state.
    fn announce(&mut self, core: &Core) {
        let now = boottime();
        let before = self.standing.borrow().clone();
        let after = match core.tenure(now) {
            Some(tenure) if self.tenure == Some(tenure) => return,
            Some(tenure) => Standing::Leader(self.hand_out(tenure, core.tenure_lasts(), &before)),
            None => Standing::Follower { leader: core.holder(now).map(str::to_owned) },
        };
        self.tenure = core.tenure(now);
        if after == before {
            return;
        }
        if let Standing::Leader(ended) = &before {
            ended.end();
        }
        self.log(&before, &after);
        self.standing.send_replace(after);
    }

    /// What stands for the core's tenure: the one before, extended, if the core has only renewed it.
    fn hand_out(&self, tenure: decisions::Tenure, lasts: Duration, before: &Standing) -> Tenure {
        let is_renewal = self.tenure.is_some_and(|known| known.number == tenure.number);
        match before.tenure().filter(|_| is_renewal) {
            // One that was seen to be over, if only for an instant, must not come back to life.
            Some(known) if !known.is_over() => {
                known.extend(tenure.asked, lasts);
                known.clone()
            }
            _ => Tenure::new(tenure.asked, lasts),
        }
    }

    fn log(&self, before: &Standing, after: &Standing) {
        let (lease, identity) = (&self.name, &self.identity);
        match (before, after) {
            (_, Standing::Leader(_)) => tracing::info!(lease, identity, "leading"),
            (Standing::Leader(_), Standing::Follower { leader }) => {
                tracing::info!(lease, identity, leader, "no longer leading");
            }
            (_, Standing::Follower { leader }) => tracing::info!(lease, identity, leader, "following"),
        }
    }
}

#[cfg(test)]
mod tests;
