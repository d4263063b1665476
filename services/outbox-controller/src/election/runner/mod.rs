//! Drives the core: asks the API server what it wants asked, tells it what a watch tells, and hands out the lead.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::Api;
use shop_outbox::{Tenure, boottime};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    core::{Answer, Core, Moment, Record, Request, Step},
    lease::{Remote, record},
    timing::Settings,
};
use crate::following;

/// How long giving the Lease back may take when stopping; after that it runs out by itself.
const RELEASE: Duration = Duration::from_secs(2);

/// The longest sleep: the timers of tokio do not count suspension, so a machine that slept is noticed this late.
const NAP: Duration = Duration::from_secs(1);

/// Who leads, as far as is known here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leadership {
    /// The identity of who leads.
    pub(crate) holder: Option<String>,
    /// Ours, while we lead. A new one for each lead, so that it is seen when the lead was lost in between.
    pub(crate) tenure: Option<Tenure>,
}

/// One candidate for one Lease.
pub(crate) struct Elector {
    remote: Remote,
    identity: String,
    settings: Settings,
    leadership: watch::Sender<Leadership>,
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
        Self { remote, identity, settings, leadership: watch::Sender::default() }
    }

    /// Follows who leads.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Takes part in the election until `stop`, then gives the Lease back if it is ours, within two seconds.
    ///
    /// Whoever works under the tenure must have finished before `stop`: another may lead a moment later.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { remote, identity, settings, leadership } = self;
        let hints = hints(&remote);
        let name = remote.name.clone();
        let mut lead = Lead { name, identity: identity.clone(), grants: None, leadership };
        let mut core = Core::new(identity, settings);
        let mut requests = Requests::new(remote, settings.renew_deadline / 3);
        tokio::select! {
            () = take_part(&mut core, &mut requests, &mut lead, hints) => {}
            () = stop.cancelled() => {}
        }
        core.stop();
        lead.publish(&core);
        if tokio::time::timeout(RELEASE, step_down(&mut core, &mut requests)).await.is_err() {
            tracing::warn!(lease = lead.name, "the Lease was not given back, it will run out");
        }
    }
}

/// For ever.
async fn take_part(
    core: &mut Core,
    requests: &mut Requests,
    lead: &mut Lead,
    hints: impl Stream<Item = Option<Record>>,
) {
    let mut hints = std::pin::pin!(hints);
    let mut watching = true;
    loop {
        let step = core.step(moment());
        lead.publish(core);
        let rest = match step {
            Step::Ask(request) => {
                requests.send(request);
                continue;
            }
            Step::Rest(until) => core.grant_ends().map_or(until, |end| end.min(until)),
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

/// What a watch of the Lease tells. Its trouble is not ours: without it a hand-over is only noticed later.
fn hints(remote: &Remote) -> impl Stream<Item = Option<Record>> + use<> {
    let name = remote.name.clone();
    following::one(remote.api.clone(), &remote.name).filter_map(move |seen| {
        let hint = match seen {
            Ok(lease) => Some(lease.as_ref().map(record)),
            Err(error) => {
                tracing::debug!(lease = name, error = %error, "the watch of the Lease begins anew");
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

/// Hands out the lead as the core grants it.
struct Lead {
    name: String,
    identity: String,
    /// The number of the grant that the tenure in `leadership` is of, and when that was last asked for.
    grants: Option<(u64, Duration)>,
    leadership: watch::Sender<Leadership>,
}

impl Lead {
    /// Brings what others see in line with the core.
    fn publish(&mut self, core: &Core) {
        let now = boottime();
        let grant = core.grant(now).map(|grant| (grant.number, grant.asked));
        let holder = core.holder(now);
        let before = self.leadership.borrow().clone();
        if grant == self.grants && holder == before.holder.as_deref() {
            return;
        }
        let tenure = grant.map(|(number, asked)| {
            let term = core.term();
            match before.tenure.as_ref().filter(|_| self.grants.is_some_and(|(known, _)| known == number)) {
                // One that was seen to be over, if only for an instant, must not come back to life.
                Some(tenure) if !tenure.is_over() => {
                    tenure.extend(asked, term);
                    tenure.clone()
                }
                _ => Tenure::new(asked, term),
            }
        });
        if let Some(ended) = before.tenure.as_ref().filter(|ended| tenure.as_ref() != Some(ended)) {
            ended.end();
        }
        self.grants = grant;
        let after = Leadership { holder: holder.map(str::to_owned), tenure };
        self.tell(&before, &after);
        self.leadership.send_if_modified(|leadership| {
            let changed = *leadership != after;
            *leadership = after;
            changed
        });
    }

    fn tell(&self, before: &Leadership, after: &Leadership) {
        let (lease, identity) = (&self.name, &self.identity);
        match (&before.tenure, &after.tenure) {
            (Some(old), Some(new)) if old == new => {}
            (_, Some(_)) => tracing::info!(lease, identity, "leading"),
            (Some(_), None) => tracing::info!(lease, identity, leader = after.holder, "no longer leading"),
            (None, None) if before.holder != after.holder => {
                tracing::info!(lease, identity, leader = after.holder, "following");
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
