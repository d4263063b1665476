//! What goes out, and when.

use shop_messaging::Verdict;

use super::{FIVE, Leader};
use crate::store::{Row, tests::row};

#[test]
fn a_window_is_half_a_batch() {
    let mut leader = Leader::new(4);
    assert_eq!(leader.claims().count, 4);
    leader.finds(&FIVE);
    assert_eq!(leader.sends(), [1, 2]);
    assert_eq!(leader.publishes().0, [1, 2], "asked again, it says the same");
}

#[test]
fn a_window_goes_out_while_the_one_before_it_is_marked_and_the_next_rows_are_claimed() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..3]);
    leader.connects();
    leader.turn.connected();
    let (window, _, look) = leader.publishes();
    assert_eq!(window, [1, 2]);
    let claim = look.claim.unwrap();
    assert_eq!((claim.count, claim.except), (4, vec![1, 2, 3]));
    leader.is_confirmed(&FIVE[3..]);
    assert_eq!(leader.begins_to_mark().sent, [1, 2]);
    assert_eq!(leader.sends(), [3, 4], "and nobody has waited for the mark");
}

#[test]
fn rows_are_claimed_beside_a_window_only_while_less_than_a_window_waits() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    assert!(leader.publishes().2.claim.is_none());
}

#[test]
fn no_more_than_a_batch_is_unconfirmed_or_unmarked() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    assert_eq!(leader.sends(), [3, 4]);
    leader.is_confirmed(&[]);
    leader.awaits_the_mark();
    leader.is_marked();
    assert_eq!(leader.begins_to_mark().sent, [3, 4], "one mark at a time");
    assert_eq!(leader.sends(), [5]);
}

#[test]
fn what_is_here_or_confirmed_but_not_marked_is_not_claimed_again() {
    let mut leader = Leader::new(8);
    leader.finds(&FIVE[..1]);
    leader.sends();
    leader.is_confirmed(&FIVE[1..2]);
    leader.begins_to_mark();
    leader.sends();
    leader.is_confirmed(&FIVE[2..3]);
    leader.sends();
    let mut except = leader.publishes().2.claim.unwrap().except;
    except.sort_unstable();
    assert_eq!(except, [1, 2, 3], "being marked, to be marked, on its way");
    leader.is_confirmed(&[]);
    leader.has_nothing_left();
    leader.sleeps();
    leader.turn.woken();
    let mut except = leader.claims().except;
    except.sort_unstable();
    assert_eq!(except, [1, 2, 3]);
}

#[test]
fn what_was_refused_is_marked_before_anything_else_goes_out() {
    for verdict in
        [Verdict::Nacked, Verdict::Returned("NO_ROUTE".to_owned()), Verdict::Refused("large".to_owned())]
    {
        let mut leader = Leader::new(4);
        leader.finds(&[(1, "a"), (2, "b"), (3, "a")]);
        leader.sends();
        leader.hears(&[verdict, Verdict::Confirmed], &[(4, "a")]);
        let marks = leader.begins_to_mark();
        assert_eq!((marks.sent, marks.failed.len()), (vec![2], 1));
        leader.awaits_the_mark();
        leader.is_marked();
        leader.claims();
    }
}

#[test]
fn a_refused_row_is_tried_again_after_a_pause_and_dead_after_the_last_attempt() {
    for (verdict, attempts, dead) in [
        (Verdict::Nacked, 0, false),
        (Verdict::Returned("NO_ROUTE".to_owned()), 1, false),
        (Verdict::Nacked, 2, true),
        (Verdict::Refused("too large".to_owned()), 0, true),
    ] {
        let mut leader = Leader::new(4);
        leader.claims();
        leader.turn.claimed(vec![Row { attempts, ..row(1, "a", 10) }]);
        leader.sends();
        let answered = leader.hears(std::slice::from_ref(&verdict), &[]);
        let failure = answered[0].failure.as_ref().unwrap();
        let longest = 2_f64.powi(attempts.try_into().unwrap());
        assert_eq!(failure.pause < 0.0, dead, "{verdict:?}");
        assert!(dead || (longest / 2.0..=longest).contains(&failure.pause), "{}", failure.pause);
        assert_eq!(leader.begins_to_mark().failed[0].pause, failure.pause);
    }
}

#[test]
fn a_window_and_what_waits_behind_it_are_bounded_in_bytes() {
    let mut leader = Leader::new(8);
    leader.turn.options.max_bytes = 50;
    assert_eq!(leader.claims().bytes, 25);
    leader.finds(&FIVE);
    assert_eq!(leader.sends(), [1, 2], "ten bytes each");
}

#[test]
fn the_next_row_of_an_aggregate_waits_for_the_verdict_on_the_one_before() {
    let mut leader = Leader::new(8);
    leader.finds(&[(1, "a"), (2, "a"), (3, "b")]);
    assert_eq!(leader.sends(), [1, 3]);
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    assert_eq!(leader.sends(), [2]);
}

#[test]
fn rows_that_were_refused_together_are_not_tried_together() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..2]);
    leader.sends();
    leader.hears(&[Verdict::Nacked, Verdict::Nacked], &[]);
    let pauses: Vec<_> = leader.begins_to_mark().failed.iter().map(|failure| failure.pause).collect();
    assert_ne!(pauses[0], pauses[1]);
}
