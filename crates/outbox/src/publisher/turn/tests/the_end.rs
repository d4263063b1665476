//! The stop, the lease, and the fence.

use std::time::Duration;

use shop_messaging::{PublishError, Verdict};

use super::{End, FIVE, LEASE, Leader, broker};
use crate::store::Fence;

#[test]
fn a_stop_marks_what_is_confirmed_and_sends_nothing_more() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.sends();
    leader.turn.stop();
    leader.is_confirmed(&[]);
    leader.awaits_the_mark();
    leader.is_marked();
    assert_eq!(leader.begins_to_mark().sent, [3, 4]);
    leader.awaits_the_mark();
    leader.is_marked();
    leader.ends(End::Stopped);
}

#[test]
fn a_stop_does_not_wait_for_a_database_that_cannot_mark() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.turn.stop();
    leader.begins_to_mark();
    leader.awaits_the_mark();
    leader.cannot_mark();
    leader.ends(End::Stopped);
}

#[test]
fn a_mark_that_failed_before_the_stop_is_tried_once_more() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.cannot_mark();
    leader.fails(&broker());
    leader.turn.stop();
    assert_eq!(leader.begins_to_mark().sent, [1]);
    leader.is_marked();
    leader.ends(End::Stopped);
}

#[test]
fn a_stop_ends_the_pause_after_a_failure() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.loses(PublishError::TimedOut(LEASE));
    leader.turn.stop();
    leader.ends(End::Stopped);
}

#[test]
fn a_lost_fence_ends_the_work_whatever_else_there_is_to_do() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.sends();
    assert_eq!(leader.turn.marked(&Ok::<_, ()>(Fence::Lost)), 0);
    leader.ends(End::Fenced);
    leader.turn.stop();
    leader.ends(End::Fenced);
}

#[test]
fn nothing_is_begun_after_the_lease_has_expired() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.lease = Duration::ZERO;
    leader.ends(End::Fenced);
}

#[test]
fn no_deadline_outlives_the_lease() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    assert_eq!(
        leader.connects(),
        Duration::from_secs(5),
        "an operator should soon hear of a broker that is silent"
    );
    leader.lease = Duration::from_secs(2);
    assert_eq!(leader.connects(), Duration::from_secs(2));
    leader.turn.connected();
    assert_eq!(leader.publishes().1, Duration::from_secs(2));
    leader.lease = LEASE;
    assert_eq!(leader.publishes().1, Duration::from_secs(10), "the publisher's own");
}

#[test]
fn it_returns_how_many_rows_are_now_sent() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..2]);
    leader.sends();
    leader.hears(&[Verdict::Confirmed, Verdict::Nacked], &[]);
    leader.begins_to_mark();
    assert_eq!(leader.turn.marked(&Ok::<_, ()>(Fence::Holds)), 1);
    assert_eq!(leader.turn.marked(&Ok::<_, ()>(Fence::Holds)), 0, "there was no other");
}
