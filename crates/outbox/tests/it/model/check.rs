//! The promises, held against what happened.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    ledger::{Entries, Event},
    plan::Plan,
};
use crate::support::Arrival;

/// A row of the outbox at the end.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "what is not compared is shown")]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) status: String,
    pub(crate) attempts: usize,
    pub(crate) last_error: Option<String>,
}

/// All that is known at the end of a run.
pub(crate) struct Outcome<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) entries: &'a Entries,
    pub(crate) rows: &'a HashMap<Uuid, Row>,
}

/// What should have become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    Dead,
    /// Behind a dead row of its aggregate.
    Held,
    /// Deleted while it was dead.
    Discarded,
}

impl Fate {
    /// The status of its row.
    fn status(self) -> Option<&'static str> {
        match self {
            Self::Arrives => Some("sent"),
            Self::Dead => Some("dead"),
            Self::Held => Some("pending"),
            Self::Discarded => None,
        }
    }
}

impl<'a> Outcome<'a> {
    /// Committed events by aggregate, in the order of their commits: versions are given out under the row lock.
    fn fates(&self) -> BTreeMap<&'a str, Vec<(&'a Event, Fate)>> {
        let mut aggregates: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for event in &self.entries.committed {
            aggregates.entry(&event.aggregate).or_default().push((event, Fate::Arrives));
        }
        for events in aggregates.values_mut() {
            events.sort_by_key(|(event, _)| event.version);
            let mut held = false;
            for (event, fate) in events {
                let is_dead = event.body.is_poison() && !self.entries.cured.contains(&event.id);
                *fate = match () {
                    () if self.entries.discarded.contains_key(&event.id) => Fate::Discarded,
                    () if held => Fate::Held,
                    () if is_dead => Fate::Dead,
                    () => Fate::Arrives,
                };
                held |= *fate == Fate::Dead;
            }
        }
        aggregates
    }

    /// The rows, against what should have become of them.
    pub(crate) fn check_rows(&self, violations: &mut Vec<String>) {
        let mut expected = HashSet::new();
        for (event, fate) in self.fates().into_values().flatten() {
            let row = self.rows.get(&event.id);
            expected.insert(event.id);
            if row.map(|row| row.status.as_str()) != fate.status() {
                violations.push(format!("{} should be {fate:?}, and is {row:?}", told(event)));
            }
            if let Some(row) = row
                && row.attempts > 0
                && !event.body.is_poison()
                && !self.plan.refuses()
            {
                let attempts = row.attempts;
                violations.push(format!("{}: {attempts} attempts, and nobody refused it", told(event)));
            }
        }
        for id in self.rows.keys().filter(|id| !expected.contains(id)) {
            violations.push(format!("a row that no writer committed: {id}"));
        }
    }

    /// What a queue has seen, against what it should have. Answers the number of duplicates.
    pub(crate) fn check_queue(
        &self,
        queue: &str,
        seen: &[(Instant, Arrival)],
        violations: &mut Vec<String>,
    ) -> usize {
        let mut first: HashMap<Uuid, (usize, Instant)> = HashMap::new();
        let mut again: HashMap<Uuid, usize> = HashMap::new();
        for (place, (at, arrival)) in seen.iter().enumerate() {
            match first.entry(arrival.id) {
                Entry::Vacant(vacant) => {
                    vacant.insert((place, *at));
                }
                Entry::Occupied(_) => *again.entry(arrival.id).or_default() += 1,
            }
        }
        for events in self.fates().values() {
            self.check_aggregate(queue, events, &first, violations);
        }
        let committed: HashSet<Uuid> = self.entries.committed.iter().map(|event| event.id).collect();
        for id in first.keys().filter(|id| !committed.contains(id)) {
            let undone = self.entries.rolled_back.iter().find(|event| event.id == *id);
            violations.push(format!("{queue}: what was not committed arrived: {id} {:?}", undone.map(told)));
        }
        self.check_duplicates(queue, &again, violations)
    }

    fn check_aggregate(
        &self,
        queue: &str,
        events: &[(&Event, Fate)],
        first: &HashMap<Uuid, (usize, Instant)>,
        violations: &mut Vec<String>,
    ) {
        let mut latest: Option<(usize, &Event)> = None;
        let mut freed: Option<(Instant, &Event)> = None;
        for (event, fate) in events {
            let arrival = first.get(&event.id);
            if arrival.is_some() != (*fate == Fate::Arrives) {
                let arrived = if arrival.is_some() { "arrived" } else { "did not arrive" };
                violations.push(format!("{queue}: {} {arrived}: {fate:?}", told(event)));
            }
            if let Some(discarded) = self.entries.discarded.get(&event.id)
                && freed.is_none_or(|(at, _)| at < *discarded)
            {
                freed = Some((*discarded, event));
            }
            let Some((place, at)) = arrival else { continue };
            if let Some((before, overtaken)) = latest
                && before > *place
            {
                violations.push(format!("{queue}: {} arrived before {}", told(event), told(overtaken)));
            }
            if let Some((discarded, dead)) = freed
                && *at < discarded
            {
                violations.push(format!("{queue}: {} overtook the dead {}", told(event), told(dead)));
            }
            latest = latest.filter(|(before, _)| before > place).or(Some((*place, event)));
        }
    }

    /// Each fault may repeat what was in flight; each refusal by one queue may repeat the message for the other.
    fn check_duplicates(
        &self,
        queue: &str,
        again: &HashMap<Uuid, usize>,
        violations: &mut Vec<String>,
    ) -> usize {
        let refused = |id: &Uuid| {
            let forgotten = self.entries.forgotten_attempts.get(id).copied().unwrap_or_default();
            forgotten + self.rows.get(id).map_or(0, |row| row.attempts)
        };
        let unexplained: usize = again.iter().map(|(id, again)| again.saturating_sub(refused(id))).sum();
        let bound = self.bound();
        if unexplained > bound {
            violations.push(format!("{queue}: {unexplained} duplicates, more than {bound}"));
        }
        again.values().sum()
    }

    fn bound(&self) -> usize {
        // On a machine that is busy with other things, a lease can run out that nobody meant to.
        let unexpected = self.entries.lapses.saturating_sub(self.plan.lapses()) + self.entries.slow_stops;
        (self.plan.faults() + unexpected) * self.plan.batch_size
    }

    /// An epoch has one leader.
    pub(crate) fn check_leaders(&self, violations: &mut Vec<String>) {
        let mut leaders: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for (epoch, holder) in &self.entries.leaders {
            leaders.entry(*epoch).or_default().push(holder);
        }
        for (epoch, holders) in leaders.into_iter().filter(|(_, holders)| holders.len() > 1) {
            violations.push(format!("epoch {epoch} had several leaders: {holders:?}"));
        }
    }
}

fn told(event: &Event) -> String {
    format!("{}/{} ({:?}, {})", event.aggregate, event.version, event.body, event.id)
}
