use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_core::OrderStatus;
use thiserror::Error;
use utoipa::ToSchema;

/// Something that happened to an order. Each happens at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Milestone {
    /// The customer placed it.
    Placed,
    /// The catalog holds everything ready for it.
    StockReserved,
    /// The customer has paid.
    PaymentProcessed,
    /// The shop has accepted it.
    Confirmed,
    /// It will not be delivered.
    Cancelled,
    /// The customer has the money back.
    PaymentRefunded,
    /// The carrier has it.
    Shipped,
    /// The customer has it.
    Delivered,
}

/// There is no milestone with this name.
#[derive(Debug, Error)]
#[error("unknown milestone")]
pub(crate) struct UnknownMilestone;

impl Milestone {
    const ALL: [Self; 8] = [
        Self::Placed,
        Self::StockReserved,
        Self::PaymentProcessed,
        Self::Confirmed,
        Self::Cancelled,
        Self::PaymentRefunded,
        Self::Shipped,
        Self::Delivered,
    ];

    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::StockReserved => "stock_reserved",
            Self::PaymentProcessed => "payment_processed",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::PaymentRefunded => "payment_refunded",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
        }
    }

    /// The milestone with this name.
    pub(crate) fn of_name(name: &str) -> Result<Self, UnknownMilestone> {
        Self::ALL.into_iter().find(|milestone| milestone.as_str() == name).ok_or(UnknownMilestone)
    }

    /// The status that it leads to; `None` if it leaves the status as it is.
    fn leads_to(self) -> Option<OrderStatus> {
        match self {
            Self::Placed => Some(OrderStatus::Pending),
            Self::Confirmed => Some(OrderStatus::Confirmed),
            Self::Cancelled => Some(OrderStatus::Cancelled),
            Self::Shipped => Some(OrderStatus::Shipped),
            Self::Delivered => Some(OrderStatus::Delivered),
            Self::StockReserved | Self::PaymentProcessed | Self::PaymentRefunded => None,
        }
    }
}

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its position, from 1.
    pub seq: i16,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Milestone,
    /// The cancellation's code, or the parcel's tracking number.
    pub detail: Option<String>,
}

/// What has happened to an order so far, oldest first. It begins when the order is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline(Vec<Entry>);

impl Timeline {
    /// The position of the first entry. It is not stored: the order itself says when it was placed.
    pub(crate) const FIRST: i16 = 1;

    /// The timeline of an order that was placed at `placed_at`, and what happened `later`.
    pub(crate) fn new(placed_at: DateTime<Utc>, later: impl IntoIterator<Item = Entry>) -> Self {
        let placed = Entry { seq: Self::FIRST, at: placed_at, event: Milestone::Placed, detail: None };
        Self(std::iter::once(placed).chain(later).collect())
    }

    /// All entries.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entries after position `seq`, each with the order's status since then.
    pub(crate) fn after(&self, seq: i16) -> impl Iterator<Item = (&Entry, OrderStatus)> {
        let with_status = self.0.iter().scan(OrderStatus::Pending, |status, entry| {
            *status = entry.event.leads_to().unwrap_or(*status);
            Some((entry, *status))
        });
        with_status.filter(move |(entry, _)| entry.seq > seq)
    }

    /// Whether this has happened.
    pub(crate) fn has(&self, event: Milestone) -> bool {
        self.0.iter().any(|entry| entry.event == event)
    }

    /// The position of the last entry.
    pub(crate) fn last_seq(&self) -> i16 {
        self.0.last().map_or(Self::FIRST, |entry| entry.seq)
    }

    /// The order's status as it follows from the entries.
    pub(crate) fn status(&self) -> OrderStatus {
        let latest = self.0.iter().rev().find_map(|entry| entry.event.leads_to());
        latest.unwrap_or(OrderStatus::Pending)
    }

    /// Whether the order was confirmed or cancelled.
    pub(crate) fn is_settled(&self) -> bool {
        self.has(Milestone::Confirmed) || self.has(Milestone::Cancelled)
    }

    /// Whether nothing more is expected to happen: the order was delivered, or cancelled, and any payment was given back.
    pub(crate) fn is_over(&self) -> bool {
        let owes = self.has(Milestone::PaymentProcessed) && !self.has(Milestone::PaymentRefunded);
        self.has(Milestone::Delivered) || (self.has(Milestone::Cancelled) && !owes)
    }

    /// Adds what happens now, and returns the entry.
    pub(super) fn add(&mut self, at: DateTime<Utc>, event: Milestone, detail: Option<String>) -> Entry {
        let entry = Entry { seq: self.last_seq() + 1, at, event, detail };
        self.0.push(entry.clone());
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(later: &[Milestone]) -> Timeline {
        let mut timeline = Timeline::new(DateTime::UNIX_EPOCH, []);
        for event in later {
            timeline.add(DateTime::UNIX_EPOCH, *event, None);
        }
        timeline
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for milestone in Milestone::ALL {
            assert_eq!(Milestone::of_name(milestone.as_str()).unwrap(), milestone);
            assert_eq!(serde_json::to_value(milestone).unwrap(), milestone.as_str());
        }
        assert!(Milestone::of_name("lost").is_err());
    }

    #[test]
    fn every_entry_comes_with_the_status_since_then() {
        use Milestone::{Cancelled, Confirmed, PaymentProcessed, PaymentRefunded, StockReserved};
        let timeline = timeline(&[StockReserved, PaymentProcessed, Confirmed, Cancelled, PaymentRefunded]);
        let told: Vec<_> = timeline.after(2).map(|(entry, status)| (entry.seq, status.as_str())).collect();
        assert_eq!(told, [(3, "pending"), (4, "confirmed"), (5, "cancelled"), (6, "cancelled")]);
        assert_eq!(timeline.status(), OrderStatus::Cancelled);
        assert_eq!(timeline.after(timeline.last_seq()).count(), 0);
        assert_eq!(timeline.after(0).count(), timeline.entries().len());
    }

    #[test]
    fn a_life_is_over_when_it_was_delivered_or_cancelled_and_nothing_is_owed() {
        use Milestone::{
            Cancelled, Confirmed, Delivered, PaymentProcessed, PaymentRefunded, Shipped, StockReserved,
        };
        for (later, is_settled, is_over) in [
            (&[][..], false, false),
            (&[StockReserved], false, false),
            (&[StockReserved, PaymentProcessed, Confirmed], true, false),
            (&[StockReserved, PaymentProcessed, Confirmed, Shipped, Delivered], true, true),
            (&[StockReserved, Cancelled], true, true),
            (&[PaymentProcessed, Confirmed, Cancelled], true, false),
            (&[Cancelled, PaymentProcessed], true, false),
            (&[PaymentProcessed, Confirmed, Cancelled, PaymentRefunded], true, true),
        ] {
            let timeline = timeline(later);
            assert_eq!((timeline.is_settled(), timeline.is_over()), (is_settled, is_over), "{later:?}");
        }
    }
}
