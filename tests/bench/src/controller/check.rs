//! Checks the promises against what arrived. No I/O.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::longest_gap;

/// How long after recovery messages from the time before may still arrive.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// A committed event: a version of an aggregate.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) aggregate: Uuid,
    pub(crate) version: i64,
}

/// A fault, from its beginning until recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    pub(crate) began: Instant,
    pub(crate) calm: Instant,
}

/// The effects of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) gap: Duration,
    pub(crate) duplicates: usize,
}

/// Whether the promises were kept.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// In the order of the faults.
    pub(crate) effects: Vec<Effect>,
    /// The longest time without an arrival outside of faults.
    pub(crate) calm_gap: Duration,
    /// Empty if all were kept.
    pub(crate) violations: Vec<String>,
}

/// Checks `arrivals`, in order, against `events` and `faults`, each of which may repeat `batch` messages.
pub(crate) fn check(
    events: &[Event],
    arrivals: &[(Uuid, Instant)],
    faults: &[Window],
    batch: usize,
) -> Verdict {
    let mut violations = Vec::new();
    let mut again = vec![0; faults.len()];
    let mut first: HashMap<Uuid, usize> = HashMap::with_capacity(events.len());
    let mut stray = 0;
    for (place, (id, at)) in arrivals.iter().enumerate() {
        if let Entry::Vacant(vacant) = first.entry(*id) {
            vacant.insert(place);
            continue;
        }
        let fault = faults.iter().rposition(|fault| fault.began <= *at);
        match fault {
            Some(fault) if *at <= faults[fault].calm + ON_ITS_WAY => again[fault] += 1,
            _ => stray += 1,
        }
    }
    if stray > 0 {
        violations.push(format!("{stray} duplicates without a fault"));
    }
    for (fault, duplicates) in faults.iter().zip(&again) {
        if *duplicates > batch {
            violations.push(format!("{}: {duplicates} duplicates, more than {batch}", fault.name));
        }
    }
    check_order(events, &first, &mut violations);

    let known: HashSet<Uuid> = events.iter().map(|event| event.id).collect();
    let foreign = first.keys().filter(|id| !known.contains(id)).count();
    if foreign > 0 {
        violations.push(format!("{foreign} messages arrived that were never committed"));
    }
    let times: Vec<Instant> = arrivals.iter().map(|(_, at)| *at).collect();
    let effects = faults
        .iter()
        .zip(again)
        .map(|(fault, duplicates)| Effect { gap: longest_gap(&times, fault.began, fault.calm), duplicates });
    Verdict { effects: effects.collect(), calm_gap: calm_gap(&times, faults), violations }
}

/// Checks that everything arrived, and that the first arrivals of each aggregate are in order.
fn check_order(events: &[Event], first: &HashMap<Uuid, usize>, violations: &mut Vec<String>) {
    let mut aggregates: HashMap<Uuid, Vec<&Event>> = HashMap::new();
    for event in events {
        aggregates.entry(event.aggregate).or_default().push(event);
    }
    let (mut lost, mut inversions) = (0, 0);
    for events in aggregates.values_mut() {
        events.sort_unstable_by_key(|event| event.version);
        let places: Vec<usize> = events.iter().filter_map(|event| first.get(&event.id).copied()).collect();
        lost += events.len() - places.len();
        inversions += usize::from(!places.is_sorted());
    }
    if lost > 0 {
        violations.push(format!("{lost} of {} events are lost", events.len()));
    }
    if inversions > 0 {
        violations.push(format!("the events of {inversions} orders arrived out of order"));
    }
}

/// The longest gap between two faults, before the first or after the last.
fn calm_gap(times: &[Instant], faults: &[Window]) -> Duration {
    let Some((begin, end)) = times.first().zip(times.last()) else { return Duration::ZERO };
    let from = std::iter::once(*begin).chain(faults.iter().map(|fault| fault.calm));
    let to = faults.iter().map(|fault| fault.began).chain([*end]);
    let within = |(from, to)| {
        let first = times.partition_point(|at| *at < from);
        let last = times.partition_point(|at| *at <= to).max(first);
        longest_gap(&times[first..last], from, to)
    };
    from.zip(to).map(within).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Run {
        start: Instant,
        events: Vec<Event>,
        fault: Window,
    }

    /// Three versions of one aggregate; a fault from the 10th to the 20th second.
    fn run() -> Run {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let event = |version| Event { id: Uuid::new_v4(), aggregate: Uuid::nil(), version };
        let fault = Window { name: "a fault", began: at(10), calm: at(20) };
        Run { start, events: (1..=3).map(event).collect(), fault }
    }

    impl Run {
        /// Arrivals as pairs of a version and a second.
        fn verdict(&self, arrivals: &[(usize, u64)], batch: usize) -> Verdict {
            let arrival = |(version, second): &(usize, u64)| {
                (self.events[version - 1].id, self.start + Duration::from_secs(*second))
            };
            let arrivals: Vec<_> = arrivals.iter().map(arrival).collect();
            check(&self.events, &arrivals, &[self.fault], batch)
        }
    }

    #[test]
    fn what_arrives_again_after_a_fault_is_allowed_up_to_a_batch() {
        let run = run();
        let arrivals = [(1, 8), (2, 9), (1, 18), (2, 18), (3, 19)];
        let verdict = run.verdict(&arrivals, 2);
        assert_eq!(verdict.violations, [""; 0]);
        assert_eq!(verdict.effects, [Effect { gap: Duration::from_secs(9), duplicates: 2 }]);
        assert_eq!(run.verdict(&arrivals, 1).violations, ["a fault: 2 duplicates, more than 1"]);
    }

    #[test]
    fn what_arrives_again_at_any_other_time_is_not() {
        for arrivals in [[(1, 1), (1, 2), (2, 2), (3, 3)], [(1, 1), (2, 2), (3, 3), (1, 30)]] {
            assert_eq!(run().verdict(&arrivals, 9).violations, ["1 duplicates without a fault"]);
        }
    }

    #[test]
    fn what_is_lost_or_overtaken_or_foreign_is_told() {
        let mut run = run();
        assert_eq!(run.verdict(&[(1, 1), (3, 2)], 9).violations, ["1 of 3 events are lost"]);
        let inverted = run.verdict(&[(2, 1), (1, 2), (3, 3)], 9);
        assert_eq!(inverted.violations, ["the events of 1 orders arrived out of order"]);
        let arrivals = [(run.events[0].id, run.start), (run.events[1].id, run.start)];
        run.events.truncate(1);
        let verdict = check(&run.events, &arrivals, &[], 9);
        assert_eq!(verdict.violations, ["1 messages arrived that were never committed"]);
    }

    #[test]
    fn gaps_of_a_fault_are_not_those_of_calm_times() {
        let verdict = run().verdict(&[(1, 1), (2, 5), (3, 8), (1, 18), (1, 20), (1, 21)], 9);
        assert_eq!(verdict.calm_gap, Duration::from_secs(4));
    }
}
