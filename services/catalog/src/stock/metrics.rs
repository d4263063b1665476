//! Metrics about reservations.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use super::life::State;

/// What has become of a reservation, to be counted once it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The reservation's new state.
    pub(crate) state: State,
    /// Why it is in that state.
    pub(crate) reason: Reason,
}

/// Why a reservation has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// An event of its order.
    Event,
    /// There were too few pieces.
    SoldOut,
    /// Its time is over.
    Expired,
}

/// Counters of reservations. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    outcomes: Family<OfOutcome, Counter>,
    expired: Counter,
    sold_out: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

impl Metrics {
    /// Creates the counters and registers them with the service's. All are reported as zero from the start.
    pub(crate) fn registered(metrics: &shop_runtime::metrics::Metrics) -> Self {
        let this = Self::default();
        for state in State::ALL {
            drop(this.outcomes.get_or_create(&OfOutcome { outcome: state.as_str() }));
        }
        metrics.register(|registry| {
            registry.register(
                "catalog_reservations",
                "Changes of reservations, by new state",
                this.outcomes.clone(),
            );
            registry.register(
                "catalog_reservations_expired",
                "Reservations released because their time was over",
                this.expired.clone(),
            );
            registry.register(
                "catalog_sold_out",
                "Orders rejected because there were too few pieces",
                this.sold_out.clone(),
            );
        });
        this
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes.get_or_create(&OfOutcome { outcome: outcome.state.as_str() }).inc();
        match outcome.reason {
            Reason::Event => {}
            Reason::SoldOut => {
                self.sold_out.inc();
            }
            Reason::Expired => {
                self.expired.inc();
            }
        }
    }
}
