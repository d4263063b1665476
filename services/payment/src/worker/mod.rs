//! The worker: makes the calls to the provider that payments need, beside the consumer and beside other replicas' workers.
//!
//! A call and its outcome are two transactions: the first records that the call begins, the second how it ended, together with the
//! event. Whatever happens in between leaves a payment in doubt, which is asked about.

#[cfg(test)]
mod tests;

use std::{pin::pin, sync::Arc, time::Duration};

use shop_core::Clock;
use shop_runtime::Periodically;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    domain::{Breaker, Call, CallError, Payment, Provider, Verdict, pause},
    metrics::Metrics,
    span,
    store::{Claimed, Job, Store},
};

/// How many calls are under way at once. A provider that takes two seconds for each then settles 64 payments a second, which is below the 100
/// requests a second that Stripe allows (<https://docs.stripe.com/rate-limits>).
const CONCURRENCY: usize = 128;
/// How often payments that are due are looked for if nobody says that there are any.
const POLL: Duration = Duration::from_millis(500);
/// The same while the database is away.
const POLL_WHEN_AWAY: Duration = Duration::from_secs(2);
/// How often the payments in doubt are counted.
const COUNT: Duration = Duration::from_secs(10);

/// Works on the payments of one provider.
#[derive(Clone)]
pub(crate) struct Worker {
    /// The payments.
    pub store: Store,
    /// Who charges.
    pub provider: Arc<dyn Provider>,
    /// Whether the provider is to be called.
    pub breaker: Breaker,
    /// How long a call may take.
    pub call_timeout: Duration,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub metrics: Metrics,
    /// Notified when there is something to do.
    pub wake: Arc<Notify>,
}

impl Worker {
    /// Works until `stop`; then it begins no more calls, records the outcomes of those under way, and returns.
    pub(crate) async fn run(self, stop: CancellationToken) {
        // Tasks, and not futures beside the look: one that waits to be polled would keep the connection that the look waits for. They
        // end with the worker.
        let mut calls = JoinSet::new();
        let mut next_look = pin!(sleep(Duration::ZERO));
        let mut next_count = pin!(sleep(Duration::ZERO));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = calls.join_next() => {
                    checked(ended);
                    continue;
                }
                () = next_count.as_mut() => {
                    self.count().await;
                    next_count.as_mut().reset(Instant::now() + COUNT);
                    continue;
                }
                // With all hands full, the next look is when one is free.
                () = self.wake.notified(), if calls.len() < CONCURRENCY => {}
                () = next_look.as_mut(), if calls.len() < CONCURRENCY => {}
            }
            let free = CONCURRENCY - calls.len();
            let (jobs, after) = self.look(free).await;
            for job in jobs {
                let worker = self.clone();
                calls.spawn(async move { worker.work(job).await });
            }
            next_look.as_mut().reset(Instant::now() + after);
        }
        while let Some(ended) = calls.join_next().await {
            checked(ended);
        }
    }

    /// Claims at most `free` jobs. Returns them, and when to look again.
    async fn look(&self, free: usize) -> (Vec<Job>, Duration) {
        let limit = u64::try_from(free).unwrap_or_default();
        match self.store.claim(self.provider.name(), &self.breaker, limit).await {
            Ok(Claimed { jobs, ended, seen }) => {
                ended.iter().for_each(|payment| self.metrics.ended(payment));
                // There may be more.
                (jobs, if seen == limit { Duration::ZERO } else { POLL })
            }
            Err(error) => {
                static AWAY: Periodically = Periodically::line();
                if let Some(count) = AWAY.due() {
                    tracing::warn!(%error, count, "payments that are due could not be read");
                }
                (Vec::new(), POLL_WHEN_AWAY)
            }
        }
    }

    async fn count(&self) {
        // If the database is away, the next look reports it.
        if let Ok(count) = self.store.count_in_doubt().await {
            self.metrics.in_doubt(count);
        }
    }

    async fn work(&self, job: Job) {
        let span = span::of(job.call.as_str(), &job.trace);
        self.work_in_span(job).instrument(span).await;
    }

    async fn work_in_span(&self, mut job: Job) {
        if self.clock.now() >= job.leased_until {
            // This process was frozen. Somebody else may already be at work on it.
            return;
        }
        let before = job.payment.state;
        let outcome = self.call(&job.payment, job.call).await;
        if let Some(permit) = job.permit.take() {
            match &outcome {
                Ok(_) => permit.answered(),
                Err(_) => permit.failed(self.clock.now()),
            }
        }
        let pause = pause(job.payment.attempts, rand::random());
        match self.store.conclude(&job, &outcome, pause).await {
            Ok(Some(payment)) => {
                if payment.state != before {
                    self.metrics.ended(&payment);
                }
                if payment.due_at.is_some_and(|due| due <= self.clock.now()) {
                    self.wake.notify_one();
                }
            }
            Ok(None) => tracing::info!("another worker has taken over this payment"),
            // When the lease is over, the provider is asked how it ended.
            Err(error) => tracing::warn!(%error, "the outcome of a payment could not be recorded"),
        }
    }

    /// Calls the provider, and no longer than allowed.
    async fn call(&self, payment: &Payment, call: Call) -> Result<Verdict, CallError> {
        let (began, bill) = (Instant::now(), payment.bill());
        let calling = async {
            match call {
                Call::Charge => self.provider.charge(&bill).await,
                Call::Ask => self.provider.ask(&bill).await,
                Call::Void => self.provider.void(&bill).await,
                Call::Refund => self.provider.refund(&bill).await,
            }
        };
        let limit = self.call_timeout;
        let outcome = timeout(limit, calling).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(CallError::Unknown(format!("no answer within {limit:?}"))));
        self.metrics.called(self.provider.name(), call, &outcome, began.elapsed());
        report(self.provider.name(), call, &outcome);
        outcome
    }
}

/// A call that panics ends the worker, and with it the process.
fn checked(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Tells the trace, and now and then the log.
fn report(provider: &'static str, call: Call, outcome: &Result<Verdict, CallError>) {
    let span = tracing::Span::current();
    let error = match outcome {
        Ok(verdict) => {
            span.record("outcome", verdict.as_str());
            return;
        }
        Err(error) => error,
    };
    span.record("outcome", error.as_str());
    span.record("otel.status_code", "ERROR").record("otel.status_description", error.to_string());
    static MISCONFIGURED: Periodically = Periodically::line();
    static FAILED: Periodically = Periodically::line();
    let operation = call.as_str();
    match error {
        CallError::Misconfigured(_) => {
            if let Some(count) = MISCONFIGURED.due() {
                tracing::error!(provider, operation, %error, count, "payments cannot be made with these settings");
            }
        }
        CallError::NotDone(_) | CallError::Unknown(_) => {
            if let Some(count) = FAILED.due() {
                tracing::warn!(provider, operation, %error, count, "calls to the payment provider failed");
            }
        }
    }
}
