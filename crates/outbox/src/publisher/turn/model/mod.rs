//! The turn against a database and a broker that answer in every way that they can: whatever they do, nothing is lost, the order of
//! each aggregate is kept, and no more than a batch is unconfirmed or unmarked.

mod database;
mod plan;

use std::collections::HashSet;

use proptest::{prelude::*, test_runner::TestCaseError};
use shop_messaging::{PublishError, Verdict};

use self::{
    database::{Database, Status},
    plan::{Dice, Nature, Plan},
};
use super::*;
use crate::{publisher::trouble::Trouble, store::Fence};

const LEASE: Duration = Duration::from_secs(15);
/// More steps than any case takes that comes to an end.
const STEPS: usize = 20_000;

type Checked = Result<(), TestCaseError>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn whatever_the_answers_nothing_is_lost_or_reordered_and_no_more_than_a_batch_is_in_doubt(plan in Plan::any()) {
        World::new(plan).run()?;
    }
}

struct World {
    turn: Turn,
    options: Options,
    now: Instant,
    lease: Duration,
    dice: Dice,
    widest: usize,
    database: Database,
    marking: Option<Marks>,
    /// Another publisher has raised the epoch.
    is_fenced: bool,
    /// Every row that is in the broker's queue.
    arrived: HashSet<i64>,
    /// What the broker has told this leader, and no mark has been known to say.
    confirmed: HashSet<i64>,
    refused: HashSet<i64>,
    /// Rows that the broker has refused at some time.
    blamed: HashSet<i64>,
    /// A mark has failed after the stop.
    gave_up: bool,
    leaders: u64,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut options = Options::new("one", "tests");
        options.batch_size = plan.batch_size;
        options.max_bytes = 12 * database::SIZE;
        options.retry.max_attempts = 3;
        options.retry.first = Duration::from_millis(50);
        options.retry.longest = Duration::from_millis(100);
        let now = Instant::now();
        Self {
            turn: Turn::new(options.clone(), 0, now),
            options,
            now,
            lease: LEASE,
            dice: plan.dice,
            widest: plan.widest,
            database: Database::new(&plan.rows),
            marking: None,
            is_fenced: false,
            arrived: HashSet::new(),
            confirmed: HashSet::new(),
            refused: HashSet::new(),
            blamed: HashSet::new(),
            gave_up: false,
            leaders: 0,
        }
    }

    fn run(mut self) -> Checked {
        for _ in 0..STEPS {
            if self.dice.is_used_up() && self.marking.is_none() && self.database.is_settled() {
                return self.check_the_end();
            }
            self.meanwhile()?;
            let step = self.turn.next(Moment { now: self.now, lease: self.lease });
            self.carry_out(step)?;
        }
        Err(TestCaseError::fail("it comes to no end"))
    }

    /// Every row that the broker takes is sent, and what is sent has arrived.
    fn check_the_end(&self) -> Checked {
        for record in &self.database.records {
            let id = record.row.id;
            match record.status {
                Status::Sent => prop_assert!(self.arrived.contains(&id), "{id} is lost"),
                Status::Dead => prop_assert!(self.blamed.contains(&id), "{id} is dead without a reason"),
                Status::Pending => {}
            }
            prop_assert!(
                record.row.attempts == 0 || self.blamed.contains(&id),
                "{id} was blamed for an outage"
            );
        }
        Ok(())
    }

    /// What others do between two steps.
    fn meanwhile(&mut self) -> Checked {
        if self.dice.is_used_up() || self.dice.hits(3) {
            self.commit();
        }
        match self.dice.roll(60) {
            1 => self.database.roll_back(),
            2 => self.database.redrive(),
            3 => self.turn.stop(),
            4 => self.is_fenced = true,
            5 => self.lease = Duration::ZERO,
            6 => self.replace_the_leader(),
            7 => self.lease = LEASE / 100,
            _ => {}
        }
        if self.marking.is_some() && self.dice.hits(2) {
            self.end_the_mark()?;
        }
        Ok(())
    }

    fn commit(&mut self) {
        let open = self.database.open();
        if !open.is_empty() {
            let id = open[self.dice.roll(open.len())];
            self.database.commit(id, self.dice.hits(8));
        }
    }

    /// The leader has crashed, or has ended: another begins, with nothing but the database.
    fn replace_the_leader(&mut self) {
        self.leaders += 1;
        self.turn = Turn::new(self.options.clone(), self.leaders << 32, self.now);
        // The database may have done what nobody has heard the answer to.
        let late = self.marking.take().filter(|_| !self.is_fenced && self.dice.hits(2));
        if let Some(marks) = late {
            self.database.mark(&marks, self.now);
        }
        (self.lease, self.is_fenced, self.gave_up) = (LEASE, false, false);
        self.confirmed.clear();
        self.refused.clear();
    }

    fn fail(&mut self, trouble: &Trouble) {
        // A publisher that is told to stop while it finds out what is wrong does not report the failure.
        if self.dice.hits(20) {
            self.turn.stop();
        } else {
            self.turn.failed(trouble, self.now);
        }
    }

    fn end_the_mark(&mut self) -> Checked {
        let Some(marks) = self.marking.take() else { return Err(TestCaseError::fail("there is no mark")) };
        for id in &marks.sent {
            prop_assert!(
                self.arrived.contains(id),
                "{id} is marked as sent, and the broker does not have it"
            );
        }
        for failure in &marks.failed {
            prop_assert!(self.blamed.contains(&failure.id), "{} is blamed for an outage", failure.id);
        }
        let roll = self.dice.roll(8);
        if roll != 1 && !self.is_fenced {
            self.database.mark(&marks, self.now);
        }
        let outcome = match roll {
            1 | 2 => Err(()),
            _ if self.is_fenced => Ok(Fence::Lost),
            _ => Ok(Fence::Holds),
        };
        self.turn.marked(&outcome);
        match outcome {
            Ok(Fence::Holds) => {
                self.confirmed.retain(|id| !marks.sent.contains(id));
                self.refused.retain(|id| !marks.failed.iter().any(|failure| failure.id == *id));
            }
            Ok(Fence::Lost) => {}
            Err(()) if self.turn.is_stopping() => self.gave_up = true,
            Err(()) => self.fail(&Trouble::Database("away".to_owned())),
        }
        Ok(())
    }

    fn carry_out(&mut self, step: Step) -> Checked {
        prop_assert!(
            !self.lease.is_zero() || matches!(step, Step::End(End::Fenced)),
            "{step:?} without a lease"
        );
        match step {
            Step::Mark(marks) => {
                prop_assert!(self.marking.is_none() && !marks.is_empty());
                self.marking = Some(marks);
            }
            Step::AwaitMark => self.end_the_mark()?,
            Step::Claim(_) if self.dice.hits(16) => self.fail(&Trouble::Database("away".to_owned())),
            Step::Claim(claim) => self.turn.claimed(self.database.claim(&claim, self.now)),
            Step::Peek { .. } if self.dice.hits(16) => self.fail(&Trouble::Database("away".to_owned())),
            Step::Peek { except } => self.turn.peeked(self.database.peek(&except, self.now)),
            Step::Connect { within } => {
                prop_assert!(within <= self.lease);
                match self.dice.roll(16) {
                    1 => self.fail(&Trouble::Broker("away".to_owned())),
                    2 => self.fail(&Trouble::Rival("another".to_owned())),
                    _ => self.turn.connected(),
                }
            }
            Step::Publish { within, look } => self.publish(within, &look)?,
            Step::AskToBeWoken if self.dice.hits(8) => self.turn.asked(false),
            Step::AskToBeWoken => {
                self.database.fall_asleep();
                self.turn.asked(true);
            }
            Step::Sleep { until } => self.sleep(until)?,
            Step::CheckAsleep => self.turn.found(self.database.asleep && !self.dice.hits(8)),
            Step::Rest { until } => {
                prop_assert!(until >= self.now && until <= self.now + Duration::from_secs(5));
                self.now = until;
                self.turn.rested();
            }
            Step::End(End::Fenced) => {
                prop_assert!(self.is_fenced || self.lease.is_zero());
                self.replace_the_leader();
            }
            Step::End(End::Stopped) => {
                prop_assert!(self.turn.is_stopping());
                let is_marked = self.confirmed.is_empty() && self.refused.is_empty();
                prop_assert!(is_marked || self.gave_up, "it ends with {:?} unmarked", self.confirmed);
                self.replace_the_leader();
            }
        }
        Ok(())
    }

    fn sleep(&mut self, until: Instant) -> Checked {
        prop_assert!(until > self.now && until <= self.now + self.options.poll_interval);
        let unnoticed = (1..=self.database.records.len() as i64)
            .filter(|id| self.database.is_unnoticed(*id) && !self.confirmed.contains(id))
            .count();
        let will_wake = self.database.notified || self.database.is_missed || !self.turn.asleep;
        prop_assert!(unnoticed == 0 || will_wake, "{unnoticed} rows wait, and nobody notifies");
        if self.marking.is_some() && !self.dice.hits(2) {
            return self.end_the_mark();
        }
        if std::mem::take(&mut self.database.notified) {
            self.turn.woken();
        } else {
            self.now = until;
            self.turn.waited();
        }
        Ok(())
    }

    fn publish(&mut self, within: Duration, look: &Look) -> Checked {
        prop_assert!(within <= self.lease && within <= self.options.publish_deadline);
        prop_assert!(!self.turn.is_stopping(), "nothing goes out after the stop");
        prop_assert!(self.refused.is_empty(), "{:?} are refused, and not marked", self.refused);
        let window: Vec<i64> = self.turn.window().iter().map(|row| row.id).collect();
        let in_doubt = window.len() + self.confirmed.len();
        prop_assert!(in_doubt <= self.options.batch_size, "{in_doubt} in doubt");

        let answer = self.answer(&window)?;
        let found = self.look(look);
        self.now += Duration::from_millis(1);
        let is_down = found.is_none();
        match self.turn.published(answer, found, self.now) {
            Ok(answered) => {
                for Answered { row, failure, .. } in answered {
                    let told = if failure.is_none() { &mut self.confirmed } else { &mut self.refused };
                    told.insert(row.id);
                    if failure.is_some() {
                        let is_known = self.database.record(row.id).nature != Nature::Plain;
                        prop_assert!(is_known || self.blamed.contains(&row.id), "{} is blamed", row.id);
                        self.blamed.insert(row.id);
                    }
                }
                if is_down {
                    self.fail(&Trouble::Database("away".to_owned()));
                }
            }
            Err(error) => self.fail(&Trouble::Broker(error.to_string())),
        }
        Ok(())
    }

    /// What is found beside the window; `None`: the database is away.
    fn look(&mut self, look: &Look) -> Option<Vec<Row>> {
        if look.ask_to_be_woken {
            if self.dice.hits(16) {
                return None;
            }
            self.database.fall_asleep();
        }
        if self.dice.hits(4) {
            self.commit();
        }
        match &look.claim {
            Some(_) if self.dice.hits(16) => None,
            Some(claim) => Some(self.database.claim(claim, self.now)),
            None => Some(Vec::new()),
        }
    }

    /// What becomes of a window at the broker.
    fn answer(&mut self, window: &[i64]) -> Result<Result<Vec<Verdict>, PublishError>, TestCaseError> {
        let nature = |id: &i64| self.database.record(*id).nature;
        if let Some(place) = window.iter().position(|id| nature(id) == Nature::Poison) {
            let sent = self.dice.roll(place + 1);
            self.arrive(&window[..sent])?;
            return Ok(Err(PublishError::ChannelClosed("PRECONDITION_FAILED".to_owned())));
        }
        let some = self.dice.roll(window.len() + 1);
        if window.len() > self.widest {
            self.arrive(&window[..some])?;
            return Ok(Err(PublishError::TimedOut(self.options.publish_deadline)));
        }
        let (error, arrived) = match self.dice.roll(20) {
            1 => (PublishError::TimedOut(self.options.publish_deadline), some),
            2 => (PublishError::Disconnected("reset".to_owned()), some),
            3 => (PublishError::Disconnected("reset".to_owned()), window.len()),
            4 => (PublishError::ExchangeMissing("NOT_FOUND".to_owned()), 0),
            5 => (PublishError::Blocked("memory".to_owned()), 0),
            6 => (PublishError::Fenced("lock".to_owned()), 0),
            _ => return self.verdicts(window).map(Ok),
        };
        self.arrive(&window[..arrived])?;
        Ok(Err(error))
    }

    fn verdicts(&mut self, window: &[i64]) -> Result<Vec<Verdict>, TestCaseError> {
        let mut verdicts = Vec::new();
        for id in window {
            verdicts.push(match self.database.record(*id).nature {
                Nature::Unroutable => Verdict::Returned("NO_ROUTE".to_owned()),
                Nature::Unsendable => Verdict::Refused("a header is too long".to_owned()),
                Nature::Plain | Nature::Poison if self.dice.hits(16) => {
                    self.blamed.insert(*id);
                    Verdict::Nacked
                }
                Nature::Plain | Nature::Poison => {
                    self.arrive(&[*id])?;
                    Verdict::Confirmed
                }
            });
        }
        Ok(verdicts)
    }

    /// The broker's queue takes these. Nothing may pass what is before it in its aggregate.
    fn arrive(&mut self, ids: &[i64]) -> Checked {
        for id in ids {
            let record = self.database.record(*id);
            prop_assert!(record.is_committed, "{id} is not committed");
            if matches!(record.nature, Nature::Unroutable | Nature::Unsendable) {
                continue;
            }
            prop_assert!(!self.confirmed.contains(id), "{id} is sent twice, and nothing has failed");
            for earlier in self.database.before(*id) {
                prop_assert!(self.arrived.contains(&earlier.row.id), "{id} comes before {}", earlier.row.id);
            }
            self.arrived.insert(*id);
        }
        Ok(())
    }
}
