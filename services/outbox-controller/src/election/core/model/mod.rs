//! Several candidates, one store with compare-and-swap, and a network, clocks and people that do their worst.
//!
//! Each candidate has a clock of its own, of any offset and of a rate within what the timing promises to bear.
//! True time, which none of them knows, is in microseconds.

mod world;

use proptest::prelude::*;

use super::*;
use world::{Fault, Foreign, Loss, World};

const SECOND: u64 = 1_000_000;
const LEASE: u64 = 15;
const RENEW_DEADLINE: u64 = 10;
const RETRY: u64 = 2;

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    Settings::new(seconds(LEASE), seconds(RENEW_DEADLINE), seconds(RETRY)).expect("a timing that works")
}

/// Candidates' clocks: offset in seconds and rate. The fastest and the slowest differ by less than lease / deadline.
fn clocks(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<(u64, f64)>> {
    proptest::collection::vec((0..1_000_000_u64, 0.83..1.2), count)
}

fn fault(forced: bool) -> impl Strategy<Value = Fault> {
    let who = 0..4_usize;
    let long = (100..40_000_u64).prop_map(|milliseconds| milliseconds * 1000);
    let loss = prop_oneof![Just(Loss::Request), Just(Loss::Answer), Just(Loss::Slow), Just(Loss::Refused)];
    let harmless = prop_oneof![
        Just(Foreign::Touch),
        Just(Foreign::Renew),
        Just(Foreign::Usurp),
        prop_oneof![Just(None), Just(Some(0)), Just(Some(-7)), Just(Some(1)), Just(Some(i32::MAX))]
            .prop_map(Foreign::Claim),
    ];
    let force = if forced { 2 } else { 0 };
    prop_oneof![
        4 => (who.clone(), long.clone()).prop_map(|(who, long)| Fault::Pause(who, long)),
        4 => (who.clone(), loss, long.clone()).prop_map(|(who, loss, long)| Fault::Network(who, loss, long)),
        2 => (who.clone(), long.clone()).prop_map(|(who, long)| Fault::Blind(who, long)),
        2 => (who.clone(), long.clone()).prop_map(|(who, long)| Fault::Crash(who, long)),
        2 => (who, long).prop_map(|(who, long)| Fault::Stop(who, long)),
        3 => harmless.prop_map(Fault::Foreign),
        force => Just(Fault::Foreign(Foreign::Clear)),
        force => Just(Fault::Foreign(Foreign::Delete)),
    ]
}

/// Faults, each so long after the one before.
fn script(forced: bool) -> impl Strategy<Value = Vec<(u64, Fault)>> {
    proptest::collection::vec((0..20 * SECOND, fault(forced)), 0..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Nobody's tenure overlaps another's in true time; who wakes looks first; the counter counts; nothing storms; and
    /// when the faults are over, one leads, and goes on leading.
    #[test]
    fn one_leads_at_a_time_and_in_the_end(clocks in clocks(2..=4), script in script(false), seed: u64) {
        let mut world = World::new(&clocks, seed);
        world.play(&script);
        world.settle();
    }

    /// Who clears or deletes a Lease under its leader takes the blame for an overlap until that leader's next renewal,
    /// and for nothing else.
    #[test]
    fn force_costs_no_more_than_the_tenure_it_was_used_against(
        clocks in clocks(2..=4),
        script in script(true),
        seed: u64,
    ) {
        let mut world = World::new(&clocks, seed);
        world.play(&script);
        world.settle();
    }

    /// Without the watch the last renewal may be seen a retry period late; with it, at once.
    #[test]
    fn a_leader_that_vanishes_is_replaced_after_its_lease(
        offsets in proptest::collection::vec(0..1_000_000_u64, 2..=4),
        blind: bool,
        after in 20 * SECOND..60 * SECOND,
        seed: u64,
    ) {
        let clocks: Vec<_> = offsets.into_iter().map(|offset| (offset, 1.0)).collect();
        let mut world = World::new(&clocks, seed);
        world.lazy_watch = false;
        if blind {
            world.play(&(0..clocks.len()).map(|who| (0, Fault::Blind(who, 200 * SECOND))).collect::<Vec<_>>());
        }
        world.run_until(after);
        let leader = world.leader().expect("somebody leads by then");
        world.play(&[(0, Fault::Crash(leader, 300 * SECOND))]);
        let gone = world.now;
        let late = if blind { RETRY * SECOND * 12 / 10 + SECOND / 2 } else { SECOND / 2 };
        world.run_until(gone + LEASE * SECOND + late);
        prop_assert!(world.leader().is_some_and(|next| next != leader));
    }

    /// Within two seconds by the watch, a retry period without it; the release itself takes its time, too.
    #[test]
    fn a_released_lease_is_taken_at_the_next_look(
        clocks in clocks(2..=4),
        blind: bool,
        after in 30 * SECOND..60 * SECOND,
        seed: u64,
    ) {
        let mut world = World::new(&clocks, seed);
        world.lazy_watch = false;
        if blind {
            world.play(&(0..clocks.len()).map(|who| (0, Fault::Blind(who, 200 * SECOND))).collect::<Vec<_>>());
        }
        world.run_until(after);
        let leader = world.leader().expect("somebody leads by then");
        world.play(&[(0, Fault::Stop(leader, 100 * SECOND))]);
        let gone = world.now;
        world.run_until(gone + if blind { 3 * SECOND + SECOND / 2 } else { SECOND / 2 });
        prop_assert!(world.leader().is_some_and(|next| next != leader));
    }
}
