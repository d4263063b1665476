//! What follows when something fails.

use std::time::Duration;

use shop_messaging::{PublishError, Verdict};

use super::{FIVE, LEASE, Leader, broker, closed};
use crate::publisher::trouble::Trouble;

#[test]
fn after_a_failure_what_is_confirmed_is_marked_first_and_the_database_is_asked_again() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE);
    leader.sends();
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    leader.sends();
    leader.loses(PublishError::TimedOut(LEASE));
    leader.rests();
    leader.awaits_the_mark();
    leader.cannot_mark();
    leader.fails(&Trouble::Database("away".to_owned()));
    leader.rests();
    assert_eq!(leader.begins_to_mark().sent, [1, 2], "nothing of a mark that failed is lost");
    leader.awaits_the_mark();
    leader.is_marked();
    assert_eq!(leader.claims().except, [0; 0], "what was on its way and what waited is forgotten");
}

#[test]
fn windows_are_halved_with_each_failure_and_whole_again_after_a_success() {
    let mut leader = Leader::new(16);
    let many: Vec<_> = (1..=16).map(|id| (id, format!("{id}"))).collect();
    let many: Vec<_> = many.iter().map(|(id, aggregate)| (*id, aggregate.as_str())).collect();
    for size in [8, 4, 2, 1, 1] {
        leader.finds(&many);
        assert_eq!(leader.sends().len(), size);
        leader.loses(PublishError::TimedOut(LEASE));
        leader.rests();
    }
    leader.finds(&many);
    assert_eq!(leader.sends().len(), 1);
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    assert_eq!(leader.sends().len(), 8);
}

#[test]
fn pauses_grow_with_failures_and_stay_short_while_another_publisher_is_in_the_way() {
    let rival = Trouble::Rival("another".to_owned());
    for (trouble, last) in [(broker(), 5_000), (rival, 500), (Trouble::Database("away".to_owned()), 5_000)] {
        let mut leader = Leader::new(4);
        for whole in [200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let whole = Duration::from_millis(whole.min(last));
            leader.claims();
            let pause = leader.fails(&trouble);
            assert!(pause >= whole / 2 && pause <= whole, "{trouble:?}: {pause:?} of {whole:?}");
            let before = leader.now;
            leader.rests();
            assert_eq!(leader.now, before + pause);
        }
        leader.finds_nothing();
        assert_eq!(leader.turn.failures(), 0, "the broker and the database are there");
    }
}

#[test]
fn a_broker_that_is_away_is_noticed_before_there_is_anything_to_send() {
    let mut leader = Leader::new(4);
    leader.finds(&[]);
    leader.connects();
    leader.fails(&broker());
    leader.rests();
    leader.claims();
}

#[test]
fn when_the_channel_is_closed_the_rows_go_out_one_by_one_and_only_the_row_at_fault_has_failed() {
    let mut leader = Leader::new(6);
    leader.finds(&FIVE);
    assert_eq!(leader.sends(), [1, 2, 3]);
    leader.loses(closed());
    leader.rests();
    leader.finds(&FIVE);
    assert_eq!(leader.sends(), [1]);
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    assert_eq!(leader.sends(), [2]);
    let answered = leader.turn.published(Err(closed()), Some(Vec::new()), leader.now).unwrap();
    assert!(matches!(&answered[0].verdict, Verdict::Returned(why) if why.contains("PRECONDITION_FAILED")));
    leader.awaits_the_mark();
    leader.is_marked();
    assert_eq!(leader.begins_to_mark().failed[0].id, 2);
    leader.is_marked();
    leader.finds(&FIVE[2..]);
    assert_eq!(leader.sends(), [3], "the last of the window that failed");
    leader.is_confirmed(&[]);
    leader.begins_to_mark();
    assert_eq!(leader.sends(), [4, 5], "whole windows again");
}

#[test]
fn a_failure_that_says_nothing_of_a_row_blames_none() {
    for error in [
        PublishError::ExchangeMissing("NOT_FOUND".to_owned()),
        PublishError::QueuesMissing(vec!["stock".to_owned()]),
        PublishError::Disconnected("reset".to_owned()),
        PublishError::TimedOut(LEASE),
        PublishError::Blocked("memory".to_owned()),
        PublishError::Fenced("lock".to_owned()),
    ] {
        let mut leader = Leader::new(8);
        leader.finds(&FIVE[..1]);
        leader.sends();
        leader.loses(error);
        leader.rests();
        leader.finds(&FIVE);
        assert_eq!(leader.sends().len(), 2, "not one by one, and nothing to mark");
    }
}

#[test]
fn a_claim_that_fails_beside_a_window_takes_nothing_from_its_verdicts() {
    let mut leader = Leader::new(4);
    leader.finds(&FIVE[..2]);
    leader.sends();
    leader.turn.published(Ok(vec![Verdict::Confirmed; 2]), None, leader.now).unwrap();
    leader.fails(&Trouble::Database("away".to_owned()));
    leader.rests();
    assert_eq!(leader.begins_to_mark().sent, [1, 2]);
    leader.awaits_the_mark();
}
