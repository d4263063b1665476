//! Counts what shoppers experience. No I/O.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;
use shop_client::Failure;
use shop_core::{OrderId, events::CancellationCode};

/// The longest time that is told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// How an order ended, as far as its shopper looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Confirmed, and perhaps shipped since.
    Confirmed,
    Cancelled(CancellationCode),
    /// It was still pending when the shopper stopped looking.
    StillPending,
    /// Nobody looked.
    NotLookedAt,
}

/// What shoppers have experienced so far.
#[derive(Debug)]
pub(crate) struct Tally {
    placed: u64,
    confirmed: u64,
    cancelled: BTreeMap<&'static str, u64>,
    still_pending: u64,
    not_looked_at: u64,
    given_up: u64,
    sold_out: u64,
    too_late: u64,
    held_back: u64,
    errors: BTreeMap<String, u64>,
    placing: Times,
    settling: Times,
    /// The orders that were answered with 201.
    pub(crate) orders: Vec<OrderId>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            placed: 0,
            confirmed: 0,
            cancelled: BTreeMap::new(),
            still_pending: 0,
            not_looked_at: 0,
            given_up: 0,
            sold_out: 0,
            too_late: 0,
            held_back: 0,
            errors: BTreeMap::new(),
            placing: Times::new(),
            settling: Times::new(),
            orders: Vec::new(),
        }
    }

    pub(crate) fn placed(&mut self, took: Duration) {
        self.placed += 1;
        self.placing.add(took);
    }

    pub(crate) fn settled(&mut self, took: Duration) {
        self.settling.add(took);
    }

    pub(crate) fn ended(&mut self, end: End) {
        match end {
            End::Confirmed => self.confirmed += 1,
            End::Cancelled(code) => *self.cancelled.entry(code.as_str()).or_default() += 1,
            End::StillPending => self.still_pending += 1,
            End::NotLookedAt => self.not_looked_at += 1,
        }
    }

    /// A shopper left without an order.
    pub(crate) fn gave_up(&mut self) {
        self.given_up += 1;
    }

    /// A shopper found nothing to buy.
    pub(crate) fn sold_out(&mut self) {
        self.sold_out += 1;
    }

    /// An order could not be cancelled any more.
    pub(crate) fn too_late(&mut self) {
        self.too_late += 1;
    }

    /// A shopper came later than planned, because too many were in the shop.
    pub(crate) fn held_back(&mut self) {
        self.held_back += 1;
    }

    /// A request did not succeed; it may be repeated.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        *self.errors.entry(kind(failure)).or_default() += 1;
    }

    pub(crate) fn summary(&self, time: Duration) -> Summary {
        let seconds = time.as_secs_f64();
        let ended = self.confirmed + self.cancelled.values().sum::<u64>();
        Summary {
            seconds: (seconds * 10.0).round() / 10.0,
            placed: self.placed,
            per_second: if seconds > 0.0 {
                (self.placed as f64 / seconds * 10.0).round() / 10.0
            } else {
                0.0
            },
            confirmed: self.confirmed,
            cancelled: self.cancelled.clone(),
            open: self.placed - ended - self.still_pending - self.not_looked_at,
            still_pending: self.still_pending,
            not_looked_at: self.not_looked_at,
            given_up: self.given_up,
            sold_out: self.sold_out,
            too_late: self.too_late,
            held_back: self.held_back,
            errors: self.errors.clone(),
            placing: self.placing.quantiles(),
            settling: self.settling.quantiles(),
        }
    }
}

/// The kind of a failure: the problem's type where there is one.
fn kind(failure: &Failure) -> String {
    match failure {
        Failure::Unavailable { .. } => "unavailable".to_owned(),
        Failure::Unauthorized(_) => "unauthorized".to_owned(),
        Failure::Unreadable { .. } => "unreadable".to_owned(),
        Failure::Refused(refusal) if refusal.slug.is_empty() => refusal.status.as_u16().to_string(),
        Failure::Refused(refusal) => refusal.slug.clone(),
    }
}

/// What shoppers have experienced, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How long they have been in the shop.
    pub seconds: f64,
    /// The number of orders that were answered with 201.
    pub placed: u64,
    /// How many that were per second.
    pub per_second: f64,
    /// The number of orders that ended confirmed.
    pub confirmed: u64,
    /// The number of orders that ended cancelled, by code.
    pub cancelled: BTreeMap<&'static str, u64>,
    /// The number of orders that shoppers are looking at.
    pub open: u64,
    /// The number of orders that were still pending when their shoppers stopped looking.
    pub still_pending: u64,
    /// The number of orders that nobody looked at, because the run was told so.
    pub not_looked_at: u64,
    /// The number of shoppers who left without an order, because it was refused or not answered for too long.
    pub given_up: u64,
    /// The number of shoppers who found nothing in stock.
    pub sold_out: u64,
    /// The number of orders that could not be cancelled any more.
    pub too_late: u64,
    /// The number of shoppers who were held back, because as many as allowed were in the shop.
    pub held_back: u64,
    /// The number of requests that did not succeed, by problem type; most were repeated.
    pub errors: BTreeMap<String, u64>,
    /// How long `POST /orders` took, where it was answered with 201.
    pub placing: Quantiles,
    /// The time from placing an order until it was confirmed or cancelled.
    pub settling: Quantiles,
}

impl Summary {
    /// The number of orders that ended cancelled.
    pub fn all_cancelled(&self) -> u64 {
        self.cancelled.values().sum()
    }
}

/// The distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many times were measured.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Times, with three significant digits.
#[derive(Debug)]
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        Self(Histogram::new_with_max(LONGEST, 3).expect("these bounds are valid"))
    }

    fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        self.0.saturating_record(micros.max(1));
    }

    fn quantiles(&self) -> Quantiles {
        let millis = |micros: u64| micros as f64 / 1000.0;
        Quantiles {
            count: self.0.len(),
            p50_ms: millis(self.0.value_at_quantile(0.5)),
            p99_ms: millis(self.0.value_at_quantile(0.99)),
            max_ms: millis(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_open_until_it_has_ended() {
        let mut tally = Tally::new();
        for _ in 0..5 {
            tally.placed(Duration::from_millis(3));
        }
        tally.ended(End::Confirmed);
        tally.ended(End::Cancelled(CancellationCode::OutOfStock));
        tally.ended(End::StillPending);
        let summary = tally.summary(Duration::from_secs(2));
        assert_eq!((summary.placed, summary.confirmed, summary.open, summary.still_pending), (5, 1, 2, 1));
        assert_eq!((summary.all_cancelled(), summary.cancelled["out_of_stock"]), (1, 1));
        assert_eq!(summary.per_second, 2.5);
    }

    #[test]
    fn times_have_quantiles() {
        let mut tally = Tally::new();
        for millis in 1..=100 {
            tally.settled(Duration::from_millis(millis));
        }
        let settling = tally.summary(Duration::ZERO).settling;
        assert_eq!(settling.count, 100);
        for (value, about) in [(settling.p50_ms, 50.0), (settling.p99_ms, 99.0), (settling.max_ms, 100.0)] {
            assert!((value - about).abs() < 0.2, "{value} is not about {about}");
        }
        assert_eq!(Tally::new().summary(Duration::ZERO).placing, Quantiles::default());
    }

    #[test]
    fn a_time_beyond_all_bounds_is_the_longest() {
        let mut tally = Tally::new();
        tally.placed(Duration::from_secs(100_000));
        assert!(tally.summary(Duration::ZERO).placing.max_ms >= 600_000.0);
    }

    #[test]
    fn errors_are_counted_by_their_kind() {
        let mut tally = Tally::new();
        let unavailable = || Failure::Unavailable {
            service: "order_service",
            reason: "it answered 503".to_owned(),
            retry_after: Some(1),
            perhaps_done: false,
        };
        tally.failed(&unavailable());
        tally.failed(&unavailable());
        tally.failed(&Failure::Unauthorized("order_service"));
        let errors = tally.summary(Duration::ZERO).errors;
        assert_eq!(
            errors.into_iter().collect::<Vec<_>>(),
            [("unauthorized".to_owned(), 1), ("unavailable".to_owned(), 2)]
        );
    }
}
