//! One leader, one rule each.

mod failures;
mod sleep;
mod the_end;
mod windows;

use shop_messaging::{PublishError, Verdict};

use super::*;
use crate::{
    publisher::trouble::Trouble,
    store::{Fence, Row, tests::row},
};

const LEASE: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(1);

/// A leader, and the time on its clock.
struct Leader {
    turn: Turn,
    now: Instant,
    lease: Duration,
}

impl Leader {
    /// With batches of so many.
    fn new(batch_size: usize) -> Self {
        let mut options = Options::new("one", "tests");
        options.batch_size = batch_size;
        options.retry.max_attempts = 3;
        let now = Instant::now();
        Self { turn: Turn::new(options, 1, now), now, lease: LEASE }
    }

    fn next(&mut self) -> Step {
        self.turn.next(Moment { now: self.now, lease: self.lease })
    }

    #[track_caller]
    fn claims(&mut self) -> Claim {
        match self.next() {
            Step::Claim(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    /// Its claim returns these: id and aggregate.
    #[track_caller]
    fn finds(&mut self, found: &[(i64, &str)]) {
        self.claims();
        self.turn.claimed(rows(found));
    }

    /// It looks whether there is anything to claim, apart from these rows, and hears that.
    #[track_caller]
    fn peeks(&mut self, except: &[i64], found: bool) {
        match self.next() {
            Step::Peek { except: told } => assert_eq!(told, except),
            other => panic!("{other:?}"),
        }
        self.turn.peeked(found);
        if !found {
            self.has_nothing_left();
        }
    }

    #[track_caller]
    fn connects(&mut self) -> Duration {
        match self.next() {
            Step::Connect { within } => within,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn publishes(&mut self) -> (Vec<i64>, Duration, Look) {
        match self.next() {
            Step::Publish { within, look } => {
                (self.turn.window().iter().map(|row| row.id).collect(), within, look)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The window that it sends, after it has connected.
    #[track_caller]
    fn sends(&mut self) -> Vec<i64> {
        self.connects();
        self.turn.connected();
        self.publishes().0
    }

    /// The broker answers, and the look beside it returns these.
    fn hears(&mut self, verdicts: &[Verdict], found: &[(i64, &str)]) -> Vec<Answered> {
        self.now += TICK;
        self.turn.published(Ok(verdicts.to_vec()), Some(rows(found)), self.now).unwrap()
    }

    /// The broker confirms the whole window.
    fn is_confirmed(&mut self, found: &[(i64, &str)]) {
        let verdicts = vec![Verdict::Confirmed; self.turn.window().len()];
        self.hears(&verdicts, found);
    }

    /// The window fails as a whole; returns the pause after it.
    #[track_caller]
    fn loses(&mut self, error: PublishError) -> Duration {
        self.now += TICK;
        self.turn.published(Err(error), Some(Vec::new()), self.now).unwrap_err();
        self.fails(&broker())
    }

    fn fails(&mut self, trouble: &Trouble) -> Duration {
        self.turn.failed(trouble, self.now)
    }

    #[track_caller]
    fn rests(&mut self) {
        match self.next() {
            Step::Rest { until } => self.now = until,
            other => panic!("{other:?}"),
        }
        self.turn.rested();
    }

    #[track_caller]
    fn begins_to_mark(&mut self) -> Marks {
        match self.next() {
            Step::Mark(marks) => marks,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn awaits_the_mark(&mut self) {
        assert!(matches!(self.next(), Step::AwaitMark));
    }

    fn is_marked(&mut self) {
        self.turn.marked(&Ok::<_, ()>(Fence::Holds));
    }

    fn cannot_mark(&mut self) {
        self.turn.marked(&Err(()));
    }

    #[track_caller]
    fn asks_to_be_woken(&mut self) {
        assert!(matches!(self.next(), Step::AskToBeWoken));
    }

    /// How long it sleeps.
    #[track_caller]
    fn sleeps(&mut self) -> Duration {
        match self.next() {
            Step::Sleep { until } => until - self.now,
            other => panic!("{other:?}"),
        }
    }

    /// It has found nothing, and asked to be woken, and sleeps.
    #[track_caller]
    fn falls_asleep(&mut self) {
        self.finds_nothing();
        self.asks_to_be_woken();
        self.turn.asked(true);
        self.finds_nothing();
        self.sleeps();
    }

    #[track_caller]
    fn finds_nothing(&mut self) {
        self.finds(&[]);
        self.has_nothing_left();
    }

    /// It knows, without a claim, that there is nothing to send.
    #[track_caller]
    fn has_nothing_left(&mut self) {
        self.connects();
        self.turn.connected();
    }

    #[track_caller]
    fn ends(&mut self, end: End) {
        assert!(matches!(self.next(), Step::End(found) if found == end));
    }
}

fn rows(found: &[(i64, &str)]) -> Vec<Row> {
    found.iter().map(|(id, aggregate)| row(*id, aggregate, 10)).collect()
}

fn broker() -> Trouble {
    Trouble::Broker("away".to_owned())
}

fn closed() -> PublishError {
    PublishError::ChannelClosed("PRECONDITION_FAILED".to_owned())
}

const FIVE: [(i64, &str); 5] = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
