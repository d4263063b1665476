//! The outbox's table as its statements see it, and the flag that asks a writer to notify.

use std::time::{Duration, Instant};

use super::plan::Nature;
use crate::{
    publisher::turn::Claim,
    store::{Marks, Row, tests::row},
};

/// The payload of each row, in bytes.
pub(super) const SIZE: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Sent,
    Dead,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) row: Row,
    pub(super) nature: Nature,
    pub(super) status: Status,
    pub(super) is_committed: bool,
    /// Not before this.
    due: Option<Instant>,
}

impl Record {
    /// Whether it holds back what follows it in its aggregate.
    fn is_in_the_way(&self, now: Instant) -> bool {
        let waits = self.status == Status::Dead || self.due.is_some_and(|due| due > now);
        self.row.attempts > 0 && self.status != Status::Sent && waits
    }
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) records: Vec<Record>,
    /// The next writer is to notify.
    pub(super) asleep: bool,
    /// A notification is on its way.
    pub(super) notified: bool,
    /// A notification that should have come does not.
    pub(super) is_missed: bool,
}

impl Database {
    pub(super) fn new(rows: &[(u8, Nature)]) -> Self {
        let record = |(place, (aggregate, nature)): (usize, &(u8, Nature))| Record {
            row: row(place as i64 + 1, &aggregate.to_string(), SIZE),
            nature: *nature,
            status: Status::Pending,
            is_committed: false,
            due: None,
        };
        let records = rows.iter().enumerate().map(record).collect();
        Self { records, asleep: false, notified: false, is_missed: false }
    }

    pub(super) fn record(&self, id: i64) -> &Record {
        &self.records[id as usize - 1]
    }

    fn record_mut(&mut self, id: i64) -> &mut Record {
        &mut self.records[id as usize - 1]
    }

    /// The rows before this one in its aggregate.
    pub(super) fn before(&self, id: i64) -> impl Iterator<Item = &Record> {
        let aggregate = &self.record(id).row.aggregate;
        self.records.iter().filter(move |other| other.row.id < id && other.row.aggregate == *aggregate)
    }

    /// Rows that may commit next: ids rise in the order of commits within an aggregate, and in no other.
    pub(super) fn open(&self) -> Vec<i64> {
        let open = self.records.iter().filter(|record| !record.is_committed).map(|record| record.row.id);
        open.filter(|id| self.before(*id).all(|earlier| earlier.is_committed)).collect()
    }

    /// A writer commits. Its notification may get lost.
    pub(super) fn commit(&mut self, id: i64, is_lost: bool) {
        self.record_mut(id).is_committed = true;
        if self.asleep {
            self.notify(is_lost);
        }
    }

    /// A writer that was to notify rolls back.
    pub(super) fn roll_back(&mut self) {
        if self.asleep {
            self.notify(true);
        }
    }

    fn notify(&mut self, is_lost: bool) {
        self.asleep = false;
        self.notified |= !is_lost;
        self.is_missed |= is_lost;
    }

    pub(super) fn fall_asleep(&mut self) {
        self.asleep = true;
        self.is_missed = false;
    }

    /// An operator has dead rows tried again.
    pub(super) fn redrive(&mut self) {
        for record in self.records.iter_mut().filter(|record| record.status == Status::Dead) {
            record.status = Status::Pending;
            record.row.attempts = 0;
            record.due = None;
            self.notified = true;
        }
    }

    pub(super) fn claim(&self, claim: &Claim, now: Instant) -> Vec<Row> {
        let due = self.records.iter().filter(|record| {
            record.is_committed
                && record.status == Status::Pending
                && record.due.is_none_or(|due| due <= now)
                && !claim.except.contains(&record.row.id)
                && !self.before(record.row.id).any(|earlier| earlier.is_in_the_way(now))
        });
        let most = claim.count.min((claim.bytes / SIZE).max(1));
        due.take(most).map(|record| record.row.clone()).collect()
    }

    pub(super) fn peek(&self, except: &[i64], now: Instant) -> bool {
        self.records.iter().any(|record| {
            record.is_committed
                && record.status == Status::Pending
                && record.due.is_none_or(|due| due <= now)
                && !except.contains(&record.row.id)
        })
    }

    /// Rows that a publisher which trusts in being woken must know of: whoever wrote them has notified.
    pub(super) fn is_unnoticed(&self, id: i64) -> bool {
        let record = self.record(id);
        let is_new = |record: &Record| record.row.attempts == 0 && record.status == Status::Pending;
        let is_free = self.before(id).all(|earlier| earlier.status == Status::Sent || is_new(earlier));
        record.is_committed && is_new(record) && is_free
    }

    pub(super) fn mark(&mut self, marks: &Marks, now: Instant) {
        for id in &marks.sent {
            let record = self.record_mut(*id);
            if record.status == Status::Pending {
                record.status = Status::Sent;
            }
        }
        for failure in &marks.failed {
            let record = self.record_mut(failure.id);
            if record.status != Status::Pending {
                continue;
            }
            record.row.attempts += 1;
            if failure.pause < 0.0 {
                record.status = Status::Dead;
            } else {
                record.due = Some(now + Duration::from_secs_f64(failure.pause));
            }
        }
    }

    /// Whether all is done that ever can be.
    pub(super) fn is_settled(&self) -> bool {
        self.records.iter().all(|record| {
            let is_held_back = self.before(record.row.id).any(|earlier| earlier.status == Status::Dead);
            record.is_committed && (record.status != Status::Pending || is_held_back)
        })
    }
}
