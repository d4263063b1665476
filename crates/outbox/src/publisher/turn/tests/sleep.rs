//! When a leader sleeps, and for how long.

use std::time::Duration;

use shop_messaging::Verdict;

use super::{FIVE, Leader, TICK, broker};
use crate::publisher::turn::Step;

#[test]
fn nobody_sleeps_before_a_writer_was_asked_to_notify_and_a_look_after_that() {
    let mut leader = Leader::new(4);
    leader.finds_nothing();
    leader.asks_to_be_woken();
    leader.turn.asked(true);
    leader.finds_nothing();
    leader.sleeps();
}

#[test]
fn what_the_last_look_finds_is_sent_and_the_writer_is_asked_again() {
    let mut leader = Leader::new(4);
    leader.finds_nothing();
    leader.asks_to_be_woken();
    leader.turn.asked(true);
    leader.finds(&FIVE[..2]);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.is_marked();
    leader.finds_nothing();
    leader.asks_to_be_woken();
}

#[test]
fn the_last_window_asks_the_writer_before_the_look_beside_it() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..1]);
    leader.sends();
    let look = leader.publishes().2;
    assert!(look.ask_to_be_woken && look.claim.is_some());
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.has_nothing_left();
    leader.sleeps();
}

#[test]
fn a_look_beside_the_last_window_that_finds_something_is_not_the_last() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&FIVE[1..3]);
    leader.begins_to_mark();
    leader.sends();
    assert!(!leader.publishes().2.ask_to_be_woken, "a full window has not caught up");
    leader.is_confirmed(&[]);
    leader.is_marked();
    leader.begins_to_mark();
    leader.finds_nothing();
    leader.asks_to_be_woken();
}

#[test]
fn a_look_beside_the_last_window_that_fails_is_none() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.turn.published(Ok(vec![Verdict::Confirmed]), None, leader.now).unwrap();
    leader.begins_to_mark();
    leader.is_marked();
    leader.finds_nothing();
    leader.asks_to_be_woken();
}

#[test]
fn whoever_cannot_ask_the_writer_stays_awake_and_polls() {
    let mut leader = Leader::new(4);
    leader.finds_nothing();
    leader.asks_to_be_woken();
    leader.turn.asked(false);
    assert_eq!(leader.sleeps(), TICK);
    leader.turn.waited();
    leader.peeks(&[], false);
    leader.asks_to_be_woken();
}

#[test]
fn a_notification_is_followed_by_a_look_at_once_and_the_next_writer_is_asked() {
    let mut leader = Leader::new(4);
    leader.falls_asleep();
    leader.turn.woken();
    leader.finds_nothing();
    leader.asks_to_be_woken();
}

#[test]
fn pauses_grow_with_the_time_that_nothing_came_and_then_trust_in_being_woken() {
    let mut leader = Leader::new(4);
    let began = leader.now;
    leader.falls_asleep();
    for (after, pause) in [(0, 1), (3, 1), (40, 10), (100, 25), (199, 25), (200, 100), (10_000, 100)] {
        leader.turn.woken();
        leader.now = began + Duration::from_millis(after);
        leader.finds_nothing();
        leader.asks_to_be_woken();
        leader.turn.asked(true);
        leader.finds_nothing();
        assert_eq!(leader.sleeps().as_millis(), pause, "after {after} ms");
    }
}

#[test]
fn a_poll_claims_only_if_there_is_something_to_claim() {
    let mut leader = Leader::new(8);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.has_nothing_left();
    leader.sleeps();
    leader.turn.waited();
    leader.peeks(&[1], false);
    leader.sleeps();
    leader.is_marked();
    leader.peeks(&[], false);
    leader.sleeps();
    leader.turn.waited();
    leader.peeks(&[], true);
    leader.finds(&FIVE[1..2]);
    assert_eq!(leader.sends(), [2]);
}

#[test]
fn a_poll_of_one_that_trusts_checks_whether_the_writer_still_is_to_notify() {
    for still in [true, false] {
        let mut leader = Leader::new(4);
        leader.now += Duration::from_secs(1);
        leader.falls_asleep();
        leader.turn.waited();
        assert!(matches!(leader.next(), Step::CheckAsleep));
        leader.turn.found(still);
        leader.finds_nothing();
        if still {
            leader.sleeps();
        } else {
            leader.asks_to_be_woken();
        }
    }
}

#[test]
fn a_mark_that_ends_meanwhile_is_followed_by_the_next() {
    let mut leader = Leader::new(8);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&FIVE[1..2]);
    leader.begins_to_mark();
    leader.sends();
    leader.is_confirmed(&[]);
    leader.has_nothing_left();
    leader.sleeps();
    leader.is_marked();
    assert_eq!(leader.begins_to_mark().sent, [2]);
    leader.peeks(&[2], true);
    leader.claims();
}

#[test]
fn whoever_has_found_something_asks_again_though_it_was_not_sent() {
    // By a look while nothing was on its way, and by one beside a window.
    for beside in [false, true] {
        let mut leader = Leader::new(4);
        leader.falls_asleep();
        leader.turn.waited();
        leader.peeks(&[], true);
        leader.finds(&FIVE[..1]);
        if beside {
            leader.sends();
            leader.is_confirmed(&FIVE[1..2]);
            leader.begins_to_mark();
            leader.is_marked();
        }
        leader.connects();
        leader.fails(&broker());
        leader.rests();
        leader.finds_nothing();
        leader.asks_to_be_woken();
    }
}

#[test]
fn nobody_has_caught_up_while_rows_wait_for_their_aggregate() {
    let mut leader = Leader::new(8);
    leader.finds(&[(1, "a"), (2, "a")]);
    assert_eq!(leader.sends(), [1]);
    assert!(!leader.publishes().2.ask_to_be_woken);
}

#[test]
fn after_work_the_looks_are_frequent_again() {
    let mut leader = Leader::new(4);
    leader.now += Duration::from_secs(60);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.is_marked();
    leader.has_nothing_left();
    assert_eq!(leader.sleeps(), TICK);
}
