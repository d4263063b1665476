use std::collections::{BTreeSet, HashMap};

/// The time after which one more failure is forgiven, in milliseconds.
pub(crate) const INTERVAL: i64 = 30_000;

/// How many buckets are kept. Each stands for a password that was checked in the last minutes, so the cost of hashing
/// normally limits their number; this limit is for machines with very many cores.
const CAPACITY: usize = 131_072;

/// The name of a bucket: a fingerprint that is long enough to be unique.
pub(crate) type Name = [u8; 16];

/// Failures that are counted together, and how many of them may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: Name,
    pub(crate) burst: i64,
}

/// Leaky buckets (GCRA). Each is the time, in milliseconds since 1970, at which all its failures are forgiven.
///
/// Empty buckets are removed. If there are too many, the one that would be empty first is removed: to push out a bucket with
/// many failures, an attacker has to fail as often in each of the others.
#[derive(Default)]
pub(crate) struct Buckets {
    forgiven_at: HashMap<Name, i64>,
    by_end: BTreeSet<(i64, Name)>,
}

impl Buckets {
    /// Counts a failure in all of `buckets`, or in none if one of them is full.
    pub(crate) fn charge(&mut self, buckets: &[Bucket], now: i64) -> bool {
        self.forget_empty(now);
        let charged = |bucket: &Bucket| {
            let end = self.end(&bucket.name, now) + INTERVAL;
            (end <= now + bucket.burst * INTERVAL).then_some((bucket.name, end))
        };
        let Some(charged) = buckets.iter().map(charged).collect::<Option<Vec<_>>>() else { return false };
        for (name, end) in charged {
            self.set(name, end, now);
        }
        true
    }

    /// Removes one failure from each of `buckets`.
    pub(crate) fn take_back(&mut self, buckets: &[Bucket], now: i64) {
        for bucket in buckets {
            let end = self.end(&bucket.name, now) - INTERVAL;
            self.set(bucket.name, end, now);
        }
    }

    /// Removes all failures from the first of `buckets`, and as many from the others.
    pub(crate) fn forgive(&mut self, buckets: &[Bucket], now: i64) {
        let Some((own, others)) = buckets.split_first() else { return };
        let debt = self.end(&own.name, now) - now;
        self.set(own.name, now, now);
        for other in others {
            let end = self.end(&other.name, now) - debt;
            self.set(other.name, end, now);
        }
    }

    fn end(&self, name: &Name, now: i64) -> i64 {
        self.forgiven_at.get(name).copied().unwrap_or(now).max(now)
    }

    fn set(&mut self, name: Name, end: i64, now: i64) {
        if let Some(before) = self.forgiven_at.remove(&name) {
            self.by_end.remove(&(before, name));
        }
        if end > now {
            self.forgiven_at.insert(name, end);
            self.by_end.insert((end, name));
        }
        if self.by_end.len() > CAPACITY {
            self.forget_first();
        }
    }

    fn forget_empty(&mut self, now: i64) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, name)) = self.by_end.pop_first() {
            self.forgiven_at.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn bucket(number: u64, burst: i64) -> Bucket {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        Bucket { name, burst }
    }

    #[test]
    fn after_a_burst_one_more_is_allowed_every_half_minute() {
        let (mut buckets, user) = (Buckets::default(), [bucket(1, 10)]);
        for _ in 0..10 {
            assert!(buckets.charge(&user, NOW));
        }
        assert!(!buckets.charge(&user, NOW + 29_999));
        assert!(buckets.charge(&user, NOW + 30_000));
        assert!(!buckets.charge(&user, NOW + 30_000));
        assert!((0..10).all(|_| buckets.charge(&user, NOW + 330_000)));
    }

    #[test]
    fn a_full_bucket_charges_no_other() {
        let mut buckets = Buckets::default();
        let (full, other) = (bucket(1, 1), bucket(2, 1));
        assert!(buckets.charge(&[full], NOW));
        assert!(!buckets.charge(&[other, full], NOW));
        assert!(buckets.charge(&[other], NOW));
    }

    #[test]
    fn a_success_takes_back_its_own_failures_and_no_others() {
        let mut buckets = Buckets::default();
        let (all, owner, stranger) = (bucket(1, 6), bucket(2, 3), bucket(3, 3));
        for client in [owner, stranger] {
            assert!((0..3).all(|_| buckets.charge(&[client, all], NOW)));
        }
        assert!(!buckets.charge(&[bucket(4, 3), all], NOW), "six are open for all");
        buckets.forgive(&[owner, all], NOW);
        assert!(!buckets.charge(&[stranger, all], NOW));
        assert!((0..3).all(|_| buckets.charge(&[owner, all], NOW)));
        assert!(!buckets.charge(&[bucket(4, 3), all], NOW));
    }

    #[test]
    fn what_was_no_failure_is_taken_back_once() {
        let (mut buckets, user) = (Buckets::default(), [bucket(1, 1), bucket(2, 1)]);
        for _ in 0..5 {
            assert!(buckets.charge(&user, NOW));
            buckets.take_back(&user, NOW);
        }
        assert!(buckets.forgiven_at.is_empty() && buckets.by_end.is_empty());
    }

    #[test]
    fn a_bucket_with_many_failures_is_not_pushed_out_by_many_with_one() {
        let (mut buckets, victim) = (Buckets::default(), [bucket(u64::MAX, 10)]);
        assert!((0..10).all(|_| buckets.charge(&victim, NOW)));
        for number in 0..CAPACITY as u64 + 1000 {
            assert!(buckets.charge(&[bucket(number, 10)], NOW));
        }
        assert_eq!(buckets.forgiven_at.len(), CAPACITY);
        assert!(!buckets.charge(&victim, NOW));
        assert!(buckets.charge(&[bucket(1, 10)], NOW + 300_000));
        assert_eq!(buckets.forgiven_at.len(), 1, "forgiven failures are forgotten");
    }
}
