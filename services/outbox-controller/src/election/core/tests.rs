//! One candidate, one case each: those of client-go's own tests, and what goes beyond them.

use super::*;

const ME: &str = "me";
const LEASE: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// A candidate, and the time on its clock.
struct Candidate {
    core: Core,
    now: Duration,
}

impl Candidate {
    fn new() -> Self {
        let settings = Settings::new(LEASE, RENEW_DEADLINE, RETRY).unwrap();
        Self { core: Core::new(ME.to_owned(), settings), now: Duration::from_secs(1_000_000) }
    }

    fn at(&self) -> Moment {
        Moment { now: self.now, chance: 0.5 }
    }

    fn step(&mut self) -> Step {
        self.core.step(self.at())
    }

    #[track_caller]
    fn looks(&mut self) {
        assert_eq!(self.step(), Step::Ask(Request::Look));
    }

    #[track_caller]
    fn writes(&mut self) -> Write {
        match self.step() {
            Step::Ask(Request::Write(write)) => write,
            other => panic!("{other:?}"),
        }
    }

    /// How long it rests.
    #[track_caller]
    fn rests(&mut self) -> Duration {
        match self.step() {
            Step::Rest(until) => until - self.now,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn sleeps(&mut self) {
        let rest = self.rests();
        self.now += rest;
    }

    fn hears(&mut self, answer: Answer) {
        self.now += TICK;
        self.core.answer(answer, self.at());
    }

    /// Its write is done, as version `version`.
    fn succeeds(&mut self, version: &str) -> Write {
        let write = self.writes();
        let renewed = i64::try_from(self.now.as_micros()).ok();
        self.hears(Answer::Found(Found {
            version: version.to_owned(),
            record: Record {
                holder: write.holder.clone(),
                seconds: Some(write.seconds),
                transitions: write.transitions,
                acquired: renewed,
                renewed,
            },
        }));
        write
    }

    /// Its look finds the Lease so.
    fn finds(&mut self, version: &str, record: &Record) {
        self.looks();
        self.hears(Answer::Found(Found { version: version.to_owned(), record: record.clone() }));
    }

    fn leads(&self) -> bool {
        self.core.tenure(self.now).is_some()
    }

    /// A leader, by way of creating the Lease as version 1.
    fn leader() -> Self {
        let mut candidate = Self::new();
        candidate.looks();
        candidate.hears(Answer::Missing);
        candidate.succeeds("1");
        assert!(candidate.leads());
        candidate
    }
}

fn held(holder: &str, renewed: i64) -> Record {
    Record {
        holder: holder.to_owned(),
        seconds: Some(15),
        transitions: 3,
        acquired: Some(1),
        renewed: Some(renewed),
    }
}

#[test]
fn a_lease_that_does_not_exist_is_created() {
    let mut candidate = Candidate::new();
    candidate.looks();
    candidate.hears(Answer::Missing);
    let asked = candidate.now;
    let write = candidate.succeeds("1");
    assert_eq!((write.over, write.transitions, write.keep_acquired), (None, 0, false));
    assert_eq!(candidate.core.tenure(candidate.now), Some(Tenure { number: 1, asked }), "counts from before");
    assert_eq!(candidate.core.holder(candidate.now), Some(ME));
}

#[test]
fn whoever_loses_the_race_to_create_it_looks_again() {
    let mut candidate = Candidate::new();
    candidate.looks();
    candidate.hears(Answer::Missing);
    candidate.writes();
    candidate.hears(Answer::Conflict);
    candidate.finds("1", &held("other", 1));
    assert!(candidate.rests() >= RETRY - TICK * 9 && !candidate.leads());
    assert_eq!(candidate.core.holder(candidate.now), Some("other"));
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    for record in [Record::default(), held("", 1)] {
        let mut candidate = Candidate::new();
        candidate.finds("7", &record);
        let write = candidate.succeeds("8");
        assert_eq!(write.over.as_deref(), Some("7"), "a compare-and-swap on what was read");
        assert_eq!((write.transitions, write.keep_acquired), (record.transitions + 1, false));
        assert!(candidate.leads());
    }
}

#[test]
fn a_holder_is_respected_for_its_lease_from_when_it_was_first_seen() {
    let mut candidate = Candidate::new();
    // A renewal of the year 1970 or 2100 is as good as one of now.
    let record = held("other", i64::MAX);
    candidate.finds("7", &record);
    let seen = candidate.now;
    while candidate.now < seen + LEASE {
        candidate.sleeps();
        candidate.finds("7", &record);
    }
    assert_eq!(
        candidate.now,
        seen + LEASE + TICK,
        "looks exactly when its time is over, not at the next tick"
    );
    assert_eq!(candidate.succeeds("8").transitions, 4);
    assert!(candidate.leads());
}

#[test]
fn a_renewal_restarts_the_wait_and_a_new_version_alone_does_not() {
    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    let seen = candidate.now;
    candidate.rests();
    candidate.now = seen + LEASE - TICK * 2;
    candidate.finds("8", &held("other", 1));
    candidate.sleeps();
    assert_eq!(candidate.now, seen + LEASE);
    candidate.finds("9", &held("other", 1));
    assert_eq!(
        candidate.writes().over.as_deref(),
        Some("9"),
        "somebody put a label on a dead leader's Lease"
    );

    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    candidate.rests();
    candidate.now += LEASE;
    candidate.finds("8", &held("other", 2));
    assert!(matches!(candidate.step(), Step::Rest(_)));
}

#[test]
fn a_renewal_that_the_watch_reported_counts_from_then() {
    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    candidate.rests();
    candidate.core.hint(Some(held("other", 2)), candidate.now);
    let told = candidate.now;
    candidate.sleeps();
    candidate.finds("8", &held("other", 2));
    candidate.rests();
    candidate.now = told + LEASE;
    candidate.finds("8", &held("other", 2));
    candidate.writes();
}

#[test]
fn a_leader_renews_without_looking_and_keeps_when_it_acquired() {
    let mut candidate = Candidate::leader();
    let rest = candidate.rests();
    assert!(rest <= RETRY && rest > RETRY - TICK * 9);
    candidate.now += rest;
    let asked = candidate.now;
    let write = candidate.succeeds("2");
    assert_eq!(write.over.as_deref(), Some("1"));
    assert_eq!((write.transitions, write.keep_acquired), (0, true));
    assert_eq!(candidate.core.tenure(candidate.now), Some(Tenure { number: 1, asked }));
}

#[test]
fn a_conflict_is_a_new_look_at_once_and_a_second_one_waits() {
    let mut candidate = Candidate::leader();
    candidate.now += RETRY;
    candidate.writes();
    candidate.hears(Answer::Conflict);
    candidate.finds("5", &held(ME, 5));
    assert_eq!(candidate.writes().over.as_deref(), Some("5"));
    candidate.hears(Answer::Conflict);
    assert!(candidate.rests() > RETRY / 2 && candidate.leads(), "no race with who writes all the time");
}

#[test]
fn a_leader_that_finds_another_holder_stops_at_once() {
    for holder in ["other", ""] {
        let mut candidate = Candidate::leader();
        candidate.now += RETRY;
        candidate.writes();
        candidate.hears(Answer::Conflict);
        candidate.finds("5", &held(holder, 5));
        assert!(!candidate.leads());
    }
}

#[test]
fn a_leader_that_hears_of_another_holder_looks_before_it_believes() {
    let mut candidate = Candidate::leader();
    candidate.rests();
    candidate.core.hint(Some(held("other", 5)), candidate.now);
    assert!(candidate.leads());
    candidate.finds("1", &held(ME, 5));
    candidate.succeeds("2");
    assert!(candidate.leads());
    assert!(matches!(candidate.step(), Step::Rest(_)), "the same hint is no longer news");
}

#[test]
fn failures_wait_and_end_the_tenure_at_the_deadline() {
    let mut candidate = Candidate::leader();
    candidate.sleeps();
    candidate.succeeds("2");
    let asked = candidate.core.tenure(candidate.now).unwrap().asked;
    let mut tries = 0;
    while candidate.leads() {
        candidate.sleeps();
        if candidate.leads() {
            candidate.writes();
            candidate.hears(Answer::Failed);
            tries += 1;
        }
        assert!(
            candidate.now <= asked + RENEW_DEADLINE,
            "the deadline is of the last success, not of the last try"
        );
    }
    assert_eq!(tries, 4, "at 2, 4, 6 and 8 seconds");
    assert_eq!(candidate.core.holder(candidate.now), None);
    // It goes on as a follower, whose first word is a look; what it finds to be its own it renews.
    candidate.looks();
    candidate.hears(Answer::Failed);
    candidate.sleeps();
    candidate.finds("1", &held(ME, 1));
    assert!(!candidate.leads());
    let write = candidate.succeeds("2");
    assert_eq!((write.transitions, write.keep_acquired), (3, true));
    assert_eq!(candidate.core.tenure(candidate.now).unwrap().number, 2, "a tenure of its own");
}

#[test]
fn an_answer_that_comes_after_the_deadline_makes_no_leader() {
    let mut candidate = Candidate::leader();
    candidate.now += RETRY;
    candidate.writes();
    candidate.now += RENEW_DEADLINE;
    candidate.hears(Answer::Found(Found { version: "2".to_owned(), record: held(ME, 2) }));
    assert!(!candidate.leads());
    candidate.looks();
}

#[test]
fn an_answer_that_comes_after_the_tenure_ended_begins_another() {
    let mut candidate = Candidate::leader();
    candidate.now += RENEW_DEADLINE - TICK * 2;
    candidate.writes();
    candidate.now += TICK * 2;
    candidate.hears(Answer::Found(Found { version: "2".to_owned(), record: held(ME, 2) }));
    assert_eq!(candidate.core.tenure(candidate.now).unwrap().number, 2);
}

#[test]
fn a_write_that_comes_out_as_another_holder_makes_no_leader() {
    let mut candidate = Candidate::new();
    candidate.looks();
    candidate.hears(Answer::Missing);
    candidate.writes();
    // Admission may change what is written.
    candidate.hears(Answer::Found(Found { version: "1".to_owned(), record: held("other", 1) }));
    assert!(!candidate.leads());
}

#[test]
fn a_leader_that_slept_knows_and_looks_before_anything_else() {
    let mut candidate = Candidate::leader();
    candidate.rests();
    candidate.now += RENEW_DEADLINE * 100;
    assert!(!candidate.leads());
    candidate.finds("2", &held("other", 2));
    assert!(matches!(candidate.step(), Step::Rest(_)));
}

#[test]
fn a_lease_deleted_under_its_leader_is_created_by_it_and_not_by_who_knew_the_leader() {
    let mut leader = Candidate::leader();
    leader.now += RETRY;
    leader.writes();
    leader.hears(Answer::Missing);
    leader.looks();
    leader.hears(Answer::Missing);
    assert_eq!(leader.succeeds("9").over, None);
    assert_eq!(leader.core.tenure(leader.now).unwrap().number, 1);

    let mut follower = Candidate::new();
    follower.finds("1", &held("other", 1));
    let seen = follower.now;
    follower.sleeps();
    follower.looks();
    follower.hears(Answer::Missing);
    assert!(matches!(follower.step(), Step::Rest(_)));
    follower.now = seen + LEASE;
    follower.looks();
    follower.hears(Answer::Missing);
    assert_eq!(follower.succeeds("9").over, None);
    assert!(follower.leads());
}

#[test]
fn a_release_that_the_watch_reports_is_taken_without_waiting() {
    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    candidate.rests();
    candidate.core.hint(Some(held("", 2)), candidate.now);
    candidate.finds("8", &held("", 2));
    assert_eq!(candidate.succeeds("9").transitions, 4);
    assert!(candidate.leads());
}

#[test]
fn a_hint_that_comes_during_a_look_is_not_lost() {
    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    candidate.sleeps();
    candidate.looks();
    candidate.core.hint(Some(held("", 2)), candidate.now);
    candidate.hears(Answer::Found(Found { version: "7".to_owned(), record: held("other", 1) }));
    candidate.finds("8", &held("", 2));
    candidate.writes();
}

#[test]
fn a_lease_that_flaps_makes_no_storm() {
    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    let mut looks = 0;
    for flap in 0..100 {
        candidate.core.hint(Some(held(&flap.to_string(), flap)), candidate.now);
        if candidate.step() == Step::Ask(Request::Look) {
            looks += 1;
            candidate.hears(Answer::Found(Found { version: "7".to_owned(), record: held("other", flap) }));
        }
    }
    assert_eq!(looks, u32::from(EARLY_LOOKS));
}

#[test]
fn a_leader_that_stops_gives_the_lease_back() {
    let mut candidate = Candidate::leader();
    candidate.core.stop();
    assert!(!candidate.leads(), "before the request is sent");
    let write = candidate.succeeds("2");
    assert_eq!((write.over.as_deref(), write.holder.as_str(), write.seconds), (Some("1"), "", 1));
    assert_eq!((write.transitions, write.keep_acquired), (0, false));
    assert_eq!(candidate.step(), Step::Done);
}

#[test]
fn who_holds_nothing_gives_nothing_back() {
    let mut candidate = Candidate::new();
    candidate.core.stop();
    assert_eq!(candidate.step(), Step::Done);

    let mut candidate = Candidate::new();
    candidate.finds("7", &held("other", 1));
    candidate.core.stop();
    assert_eq!(candidate.step(), Step::Done);
}

#[test]
fn stopping_waits_for_the_write_that_is_under_way_and_gives_back_what_it_took() {
    let mut candidate = Candidate::new();
    candidate.looks();
    candidate.hears(Answer::Missing);
    candidate.writes();
    candidate.core.stop();
    candidate.rests();
    candidate.hears(Answer::Found(Found { version: "1".to_owned(), record: held(ME, 1) }));
    assert!(!candidate.leads());
    assert_eq!(candidate.succeeds("2").holder, "");
    assert_eq!(candidate.step(), Step::Done);
}

#[test]
fn stopping_looks_whether_a_write_was_done_that_nobody_answered() {
    let mut candidate = Candidate::new();
    candidate.looks();
    candidate.hears(Answer::Missing);
    candidate.writes();
    candidate.hears(Answer::Failed);
    candidate.core.stop();
    candidate.finds("1", &held(ME, 1));
    candidate.writes();
    // Nor was the answer to the release heard.
    candidate.hears(Answer::Failed);
    candidate.sleeps();
    candidate.finds("2", &held("", 2));
    assert_eq!(candidate.step(), Step::Done);
}

#[test]
fn a_release_that_meets_a_conflict_looks_and_tries_again_or_lets_go() {
    let mut candidate = Candidate::leader();
    candidate.core.stop();
    candidate.writes();
    candidate.hears(Answer::Conflict);
    candidate.finds("5", &held(ME, 5));
    assert_eq!(candidate.succeeds("6").over.as_deref(), Some("5"));
    assert_eq!(candidate.step(), Step::Done);

    for lease in [Answer::Missing, Answer::Found(Found { version: "5".into(), record: held("other", 5) })] {
        let mut candidate = Candidate::leader();
        candidate.core.stop();
        candidate.writes();
        candidate.hears(Answer::Conflict);
        candidate.looks();
        candidate.hears(lease);
        assert_eq!(candidate.step(), Step::Done);
    }
}

#[test]
fn a_broken_counter_of_transitions_stays_in_bounds() {
    for (transitions, next) in [(i32::MAX, i32::MAX), (i32::MIN, 0), (-1, 0)] {
        let mut candidate = Candidate::new();
        candidate.finds("7", &Record { transitions, ..held("", 1) });
        assert_eq!(candidate.writes().transitions, next);
    }
}
