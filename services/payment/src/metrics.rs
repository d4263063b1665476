//! Metrics about payments.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
};
use shop_core::events::PaymentFailure;

use crate::domain::{Breaker, BreakerState, Call, CallError, Payment, State, Verdict};

/// In seconds: a provider answers in a fraction of a second, and is not waited for much longer than ten.
const BUCKETS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Counters of payments. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    payments: Family<Ended, Counter>,
    calls: Family<Called, Counter>,
    seconds: Family<Made, Histogram>,
    /// Calls that were notified by a webhook.
    pub webhooks: Counter,
    in_doubt: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    provider: &'static str,
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Made {
    provider: &'static str,
    operation: &'static str,
}

impl Metrics {
    /// Creates the counters and registers them with the service's.
    pub(crate) fn register(metrics: &shop_runtime::metrics::Metrics, breaker: &Breaker) -> Self {
        let this = Self {
            payments: Family::default(),
            calls: Family::default(),
            seconds: Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram),
            webhooks: Counter::default(),
            in_doubt: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register("payments", "Payments that ended, by outcome", this.payments.clone());
            registry.register(
                "payment_provider_calls",
                "Calls to the payment provider, by result",
                this.calls.clone(),
            );
            registry.register(
                "payment_provider_seconds",
                "How long calls to the payment provider took",
                this.seconds.clone(),
            );
            registry.register("payment_webhooks", "Webhooks with a valid signature", this.webhooks.clone());
            registry.register(
                "payments_unknown",
                "Payments whose outcome has not been known for more than a minute: the provider has to be asked",
                this.in_doubt.clone(),
            );
            registry.register_collector(Box::new(OfBreaker(breaker.clone())));
        });
        this
    }

    /// Counts a payment that has just reached an end.
    pub(crate) fn ended(&self, payment: &Payment) {
        let reason = payment.code.map_or("", PaymentFailure::as_str);
        let outcome = match payment.state {
            State::Pending => return,
            // It is charged, and is going to be refunded.
            State::Refunding => State::Processed.as_str(),
            state => state.as_str(),
        };
        self.payments.get_or_create(&Ended { outcome, reason }).inc();
    }

    /// Counts a call.
    pub(crate) fn called(
        &self,
        provider: &'static str,
        call: Call,
        outcome: &Result<Verdict, CallError>,
        took: Duration,
    ) {
        let operation = call.as_str();
        let result = match outcome {
            Ok(verdict) => verdict.as_str(),
            Err(error) => error.as_str(),
        };
        self.calls.get_or_create(&Called { provider, operation, result }).inc();
        self.seconds.get_or_create(&Made { provider, operation }).observe(took.as_secs_f64());
    }

    /// How many payments may be charged without the shop knowing.
    pub(crate) fn in_doubt(&self, count: u64) {
        self.in_doubt.set(count);
    }
}

/// Asks the breaker when the metrics are read.
#[derive(Debug)]
struct OfBreaker(Breaker);

impl Collector for OfBreaker {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let open = ConstGauge::new(i64::from(self.0.state() == BreakerState::Open));
        let help = "1 while the payment provider is not called because it does not answer";
        let metric = encoder.encode_descriptor("payments_breaker_open", help, None, open.metric_type())?;
        open.encode(metric)
    }
}
