//! The places for connections: how many there are, and who gives one up when all are taken.
//!
//! A new connection gets a place as long as any other is silent. Connections that have never sent a request are closed first, then
//! those that are idle between two requests; among equals, the oldest one of the peer that has most. Behind a load balancer all
//! connections come from a few peers, so a peer's share is large, and below it only idle connections are closed.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use super::activity::{Activity, Phase};

/// How long an exchange may wait for its client before its connection can be taken from a peer that has too many.
const STUCK: Duration = Duration::from_secs(1);

/// How many silent connections are closed at once, because choosing them means looking at all.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) struct Places {
    total: usize,
    per_peer: usize,
    table: Mutex<Table>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Held>,
    by_peer: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Held {
    peer: IpAddr,
    activity: Arc<Activity>,
    task: Option<AbortHandle>,
}

/// A connection's place, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
}

/// What happens to a new connection.
#[derive(Debug)]
pub(super) enum Admission {
    /// It gets a place, for which this many others were closed.
    Place(Place, usize),
    /// All places are taken by exchanges that are in progress.
    Full,
    /// The peer's share is taken by exchanges that are in progress.
    PeerFull,
}

impl Places {
    pub(super) fn new(total: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self { total, per_peer, table: Mutex::default(), released: Notify::new() })
    }

    /// A place for a connection from `ip`, which reports its `activity`.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr, activity: &Arc<Activity>) -> Admission {
        let peer = peer(ip);
        let mut table = self.table();
        let mine = table.by_peer.get(&peer).copied().unwrap_or_default();
        let mut closed = 0;
        if mine >= self.per_peer {
            closed = table.evict(|held| held.peer == peer && held.is_quiet());
            if closed == 0 {
                return Admission::PeerFull;
            }
        } else if table.open.len() >= self.total {
            closed = table.evict(Held::is_quiet);
            if closed == 0 {
                closed = table.evict_stuck(mine);
            }
            if closed == 0 {
                return Admission::Full;
            }
        }
        let id = table.insert(peer, Arc::clone(activity));
        Admission::Place(Place { places: Arc::clone(self), id }, closed)
    }

    /// Says which task serves the connection whose place has this `id`, so that it can be ended.
    pub(super) fn serves(&self, id: u64, task: AbortHandle) {
        // It may have ended by now.
        if let Some(held) = self.table().open.get_mut(&id) {
            held.task = Some(task);
        }
    }

    /// Closes silent connections because the process can open no more, and returns how many.
    pub(super) fn make_room(&self) -> usize {
        self.table().evict(Held::is_quiet)
    }

    /// Waits until a place may have become free.
    pub(super) async fn change(&self) {
        // The other reason is time: an exchange may be stuck by now.
        let _ = tokio::time::timeout(Duration::from_millis(50), self.released.notified()).await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().remove(self.id);
        self.places.released.notify_one();
    }
}

impl Held {
    /// Whether closing it costs nothing but time.
    fn is_quiet(&self) -> bool {
        self.activity.phase() != Phase::Busy
    }
}

impl Table {
    fn insert(&mut self, peer: IpAddr, activity: Arc<Activity>) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Held { peer, activity, task: None });
        *self.by_peer.entry(peer).or_default() += 1;
        self.last
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.open.remove(&id)?;
        if let Some(count) = self.by_peer.get_mut(&held.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&held.peer);
            }
        }
        Some(held)
    }

    /// Closes connections for which `may_go` is true: one, or several if they have never sent anything.
    fn evict(&mut self, may_go: impl Fn(&Held) -> bool) -> usize {
        let mut candidates: Vec<(Phase, usize, Instant, u64)> = self
            .open
            .iter()
            .filter(|(_, held)| held.task.is_some() && may_go(held))
            .map(|(id, held)| {
                let others = usize::MAX - self.by_peer.get(&held.peer).copied().unwrap_or_default();
                (held.activity.phase(), others, held.activity.last_progress(), *id)
            })
            .collect();
        let Some(first) = candidates.iter().min().copied() else { return 0 };
        let count = if first.0 == Phase::Silent { BATCH.min(candidates.len() / 16).max(1) } else { 1 };
        if count > 1 {
            candidates.retain(|candidate| (candidate.0, candidate.1) == (first.0, first.1));
            candidates.sort_unstable();
        } else {
            candidates = vec![first];
        }
        let going: Vec<u64> = candidates.into_iter().take(count).map(|(.., id)| id).collect();
        for id in &going {
            self.end(*id);
        }
        going.len()
    }

    /// For a peer that has `mine`: ends an exchange that waits for its client, of the peer that has most, if that is far more.
    fn evict_stuck(&mut self, mine: usize) -> usize {
        let heaviest =
            self.by_peer.iter().max_by_key(|(_, count)| **count).map(|(peer, count)| (*peer, *count));
        match heaviest {
            Some((peer, count)) if count / 2 > mine => self.evict(|held| {
                let activity = &held.activity;
                held.peer == peer
                    && activity.waits_for_client()
                    && activity.last_progress().elapsed() >= STUCK
            }),
            _ => 0,
        }
    }

    fn end(&mut self, id: u64) {
        if let Some(task) = self.remove(id).and_then(|held| held.task) {
            task.abort();
        }
    }
}

/// Who counts as one: an IPv4 address, or an IPv6 network, of which a client has all addresses.
fn peer(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    const ALICE: [u8; 4] = [192, 0, 2, 1];
    const MALLORY: [u8; 4] = [192, 0, 2, 2];

    struct Hall {
        places: Arc<Places>,
        tasks: JoinSet<()>,
        held: Vec<(Place, Arc<Activity>, AbortHandle)>,
    }

    impl Hall {
        fn new(total: usize, per_peer: usize) -> Self {
            Self { places: Places::new(total, per_peer), tasks: JoinSet::new(), held: Vec::new() }
        }

        /// Lets a connection in that is in `phase`; answers its number.
        fn enter(&mut self, ip: [u8; 4], phase: Phase) -> Option<usize> {
            let activity = Arc::new(Activity::new());
            activity.enter(phase);
            match self.places.admit(ip.into(), &activity) {
                Admission::Place(place, _) => {
                    let task = self.tasks.spawn(std::future::pending());
                    self.places.serves(place.id(), task.clone());
                    self.held.push((place, activity, task));
                    Some(self.held.len() - 1)
                }
                Admission::Full | Admission::PeerFull => None,
            }
        }

        async fn gone(&mut self) -> Vec<usize> {
            tokio::task::yield_now().await;
            let numbers = self.held.iter().enumerate();
            numbers.filter(|(_, (_, _, task))| task.is_finished()).map(|(number, _)| number).collect()
        }
    }

    #[tokio::test]
    async fn silent_connections_go_first_and_those_at_work_stay() {
        let mut hall = Hall::new(4, 4);
        hall.enter(ALICE, Phase::Busy);
        hall.enter(ALICE, Phase::Idle);
        hall.enter(ALICE, Phase::Head);
        hall.enter(ALICE, Phase::Silent);
        for (newcomer, gone) in [(4, vec![3]), (5, vec![2, 3]), (6, vec![1, 2, 3])] {
            assert_eq!(hall.enter(MALLORY, Phase::Busy), Some(newcomer));
            assert_eq!(hall.gone().await, gone);
        }
        assert_eq!(hall.enter(MALLORY, Phase::Busy), None, "all are at work");
        hall.held.remove(0);
        assert!(hall.enter(MALLORY, Phase::Busy).is_some(), "a place is free again");
    }

    #[tokio::test]
    async fn of_equals_the_one_goes_whose_peer_has_most() {
        let mut hall = Hall::new(4, 4);
        hall.enter(ALICE, Phase::Idle);
        for _ in 0..3 {
            hall.enter(MALLORY, Phase::Idle);
        }
        hall.enter(ALICE, Phase::Busy);
        assert_eq!(hall.gone().await, [1]);
    }

    #[tokio::test]
    async fn a_peer_that_has_its_share_makes_room_for_itself_or_is_refused() {
        let mut hall = Hall::new(4, 2);
        hall.enter(ALICE, Phase::Idle);
        hall.enter(MALLORY, Phase::Silent);
        hall.enter(MALLORY, Phase::Busy);
        assert!(hall.enter(MALLORY, Phase::Busy).is_some());
        assert_eq!(hall.gone().await, [1]);
        assert_eq!(hall.enter(MALLORY, Phase::Busy), None);
        assert!(hall.enter(ALICE, Phase::Busy).is_some());
    }

    #[tokio::test]
    async fn who_makes_many_exchanges_wait_gives_up_one_for_somebody_else() {
        let mut hall = Hall::new(4, 4);
        for _ in 0..4 {
            let number = hall.enter(MALLORY, Phase::Busy).unwrap();
            hall.held[number].1.set_waits_for_client(true);
        }
        assert_eq!(hall.enter(ALICE, Phase::Busy), None, "they may go on in a moment");
        tokio::time::sleep(STUCK).await;
        assert_eq!(hall.enter(MALLORY, Phase::Busy), None);
        assert!(hall.enter(ALICE, Phase::Busy).is_some());
        assert_eq!(hall.gone().await, [0]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_a_mapped_address_is_ipv4() {
        let of = |ip: &str| peer(ip.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::4"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
