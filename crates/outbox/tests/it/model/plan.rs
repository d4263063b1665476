//! What happens in a run, and when: everything from one seed, nothing from chance.

use std::{fmt, time::Duration};

use shop_testing::Dice;

/// A lease, or a deadline, that does not run out by itself.
const CALM: Duration = Duration::from_secs(10);

/// A run, before it is run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
    pub(crate) lease: Duration,
    pub(crate) publish_deadline: Duration,
    pub(crate) publishers: usize,
    pub(crate) aggregates: usize,
    /// A second queue, with room for little, that refuses while its consumer halts.
    pub(crate) narrow: bool,
    /// Whether the poison that is left at the end is cured, or left dead.
    pub(crate) cure_at_the_end: bool,
    pub(crate) writers: Vec<Vec<Transaction>>,
    /// In the order of time.
    pub(crate) actions: Vec<(Duration, Action)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// What the writer does before.
    pub(crate) pause: Duration,
    /// `(aggregate, body)` in the order of the appends.
    pub(crate) events: Vec<(usize, Body)>,
    /// How long it stays open after its last statement.
    pub(crate) hold: Duration,
    pub(crate) commits: bool,
}

/// What is in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// As it should be, with a payload of so many bytes.
    Good(usize),
    /// A routing key longer than AMQP can say.
    LongKey,
    /// A payload over the publisher's limit.
    TooLarge,
    /// A routing key that no queue is bound for.
    Unroutable,
}

impl Body {
    pub(crate) fn is_poison(self) -> bool {
        !matches!(self, Self::Good(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// All publishers that do not run.
    Start,
    /// Asks it to stop, and does not wait for it.
    Stop(Who),
    /// Nothing is flushed or given back.
    Crash(Who),
    /// Somebody else has raised the epoch, and keeps the lease for this long.
    TakeOver(Duration),
    /// Connections break.
    Cut(Server, Who),
    /// The network says nothing more, in both directions or to the publisher only.
    Silence(Server, Who, Direction),
    /// All silence to this server ends.
    Free(Server),
    /// The broker closes the connections of all publishers.
    CloseConnections,
    /// With all bindings.
    DeleteExchange,
    /// Declares exchange and bindings again.
    Rebind,
    HaltNarrow,
    ResumeNarrow,
    /// The database ends the sessions of all publishers, or of all writers too.
    EndSessions {
        writers: bool,
    },
    /// A gap in the ids.
    SkipIds,
    Operate(Operation),
}

/// To which publisher it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one that leads then.
    Leader,
    Slot(usize),
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Broker,
    Database,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    Answers,
}

/// What an operator does about dead rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// All of them, as they are: poison dies again.
    Redrive,
    /// Puts right what was wrong with the oldest poison, and redrives it.
    Cure,
    /// Deletes the oldest poison.
    Discard,
}

impl Action {
    /// Whether it can make messages arrive twice: those of one window and of the one that is being marked.
    pub(crate) fn is_fault(self) -> bool {
        use Action::*;
        matches!(
            self,
            Stop(_)
                | Crash(_)
                | TakeOver(_)
                | Cut(..)
                | Silence(..)
                | CloseConnections
                | DeleteExchange
                | EndSessions { .. }
        )
    }

    /// Whether a publisher that goes on may lose its lease by it.
    fn takes_a_lease(self) -> bool {
        use Action::*;
        match self {
            TakeOver(_) | EndSessions { .. } => true,
            Cut(server, _) | Silence(server, ..) => server == Server::Database,
            _ => false,
        }
    }

    /// Whether it can be done to a database and a broker inside the process.
    fn is_for_embedded(self) -> bool {
        use Action::*;
        !matches!(
            self,
            Cut(..) | Silence(..) | Free(_) | CloseConnections | DeleteExchange | Rebind | EndSessions { .. }
        )
    }
}

/// Kinds of trouble, of which a plan has some.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Crash,
    Stop,
    TakeOver,
    Broker,
    Exchange,
    Narrow,
    Sessions,
    Database,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let calm = dice.chance(15);
        let troubles = if calm { vec![Trouble::Stop] } else { Trouble::some(&mut dice) };
        let duration = dice.millis(2_500, 4_000);
        let aggregates = dice.between(2, 12) as usize;
        let mut plan = Self {
            seed,
            batch_size: *dice.pick(&[4, 8, 20]),
            lease: if calm { CALM } else { Duration::from_secs(2) },
            publish_deadline: if calm { CALM } else { dice.millis(700, 2_000) },
            publishers: dice.between(1, 3) as usize,
            aggregates,
            narrow: troubles.contains(&Trouble::Narrow),
            cure_at_the_end: dice.chance(50),
            writers: Vec::new(),
            actions: Vec::new(),
        };
        let writers = dice.between(2, 4);
        plan.writers = (0..writers).map(|_| transactions(&mut dice, aggregates, duration)).collect();
        if dice.chance(60) {
            plan.writers.push(vec![late(&mut dice, aggregates)]);
        }
        plan.schedule(&mut dice, &troubles, duration);
        plan.actions.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The same without what only servers and networks can suffer.
    pub(crate) fn embedded(mut self) -> Self {
        self.actions.retain(|(_, action)| action.is_for_embedded());
        for transaction in self.writers.iter_mut().flatten() {
            // SQLite has one writer at a time, which all others wait for.
            transaction.hold = transaction.hold.min(Duration::from_millis(20));
        }
        if self.faults() == 0 {
            self.lease = CALM;
        }
        self
    }

    /// How many times messages may arrive twice because of the plan.
    pub(crate) fn faults(&self) -> usize {
        let faults = self.actions.iter().filter(|(_, action)| action.is_fault()).count();
        // Where nothing else goes wrong, a publisher that is stopped has the time to mark what it has sent.
        if self.actions.iter().all(|(_, action)| !action.is_fault() || matches!(action, Action::Stop(_))) {
            return 0;
        }
        faults
    }

    /// How many times a lease may be lost because of the plan.
    pub(crate) fn lapses(&self) -> usize {
        self.actions.iter().filter(|(_, action)| action.takes_a_lease()).count()
    }

    /// Whether the broker may refuse a message that is not poison: a narrow queue is full now and then by itself.
    pub(crate) fn refuses(&self) -> bool {
        self.narrow || self.actions.iter().any(|(_, action)| *action == Action::DeleteExchange)
    }

    fn schedule(&mut self, dice: &mut Dice, troubles: &[Trouble], duration: Duration) {
        self.at(dice.millis(0, 300), Action::Start);
        let mut at = dice.millis(300, 800);
        while at < duration {
            let trouble = *dice.pick(troubles);
            self.trouble(dice, trouble, at);
            at += dice.millis(200, 800);
        }
        let mut at = dice.millis(500, 1_000);
        while at < duration {
            use Operation::*;
            let operation = *dice.pick(&[Cure, Cure, Cure, Discard, Discard, Redrive]);
            self.at(at, Action::Operate(operation));
            if dice.chance(30) {
                self.at(at, Action::SkipIds);
            }
            at += dice.millis(300, 900);
        }
    }

    fn trouble(&mut self, dice: &mut Dice, trouble: Trouble, at: Duration) {
        let slot = dice.below(self.publishers as u64) as usize;
        let one = if dice.chance(70) { Who::Leader } else { Who::Slot(slot) };
        match trouble {
            Trouble::Crash => {
                self.at(at, Action::Crash(one));
                self.at(at + dice.millis(10, 500), Action::Start);
            }
            Trouble::Stop => {
                self.at(at, Action::Stop(one));
                self.at(at + dice.millis(10, 500), Action::Start);
            }
            Trouble::TakeOver => self.at(at, Action::TakeOver(dice.millis(50, 800))),
            Trouble::Broker if dice.chance(25) => self.at(at, Action::CloseConnections),
            Trouble::Broker => self.network(dice, Server::Broker, at),
            Trouble::Database => self.network(dice, Server::Database, at),
            Trouble::Exchange => {
                self.at(at, Action::DeleteExchange);
                self.at(at + dice.millis(10, 400), Action::Rebind);
            }
            Trouble::Narrow => {
                self.at(at, Action::HaltNarrow);
                self.at(at + dice.millis(100, 900), Action::ResumeNarrow);
            }
            Trouble::Sessions => self.at(at, Action::EndSessions { writers: dice.chance(40) }),
        }
    }

    fn network(&mut self, dice: &mut Dice, server: Server, at: Duration) {
        let who = *dice.pick(&[Who::Leader, Who::All]);
        if dice.chance(30) {
            return self.at(at, Action::Cut(server, who));
        }
        let direction = *dice.pick(&[Direction::Both, Direction::Both, Direction::Answers]);
        self.at(at, Action::Silence(server, who, direction));
        let end = at + dice.millis(100, 2_500);
        if dice.chance(70) {
            // What was held back is lost, or else arrives late.
            self.at(end, Action::Cut(server, Who::All));
        }
        self.at(end, Action::Free(server));
    }

    fn at(&mut self, at: Duration, action: Action) {
        self.actions.push((at, action));
    }
}

impl Trouble {
    fn some(dice: &mut Dice) -> Vec<Self> {
        use Trouble::*;
        let all = [Crash, Stop, TakeOver, Exchange, Narrow, Sessions, Broker, Broker, Database, Database];
        let mut troubles: Vec<Self> = all.into_iter().filter(|_| dice.chance(35)).collect();
        if troubles.contains(&Narrow) {
            // While the exchange comes back, one of two queues is bound before the other, and a message in between
            // goes to that one only: by AMQP's rules nothing is wrong with it.
            troubles.retain(|trouble| *trouble != Exchange);
        }
        if troubles.is_empty() { vec![Crash] } else { troubles }
    }
}

/// Its id is lower than most others, and it commits when they are long sent. Nobody waits for its aggregate.
fn late(dice: &mut Dice, aggregate: usize) -> Transaction {
    let events = vec![(aggregate, Body::Good(10))];
    Transaction {
        pause: dice.millis(0, 500),
        events,
        hold: dice.millis(1_000, 5_000),
        commits: dice.chance(80),
    }
}

fn transactions(dice: &mut Dice, aggregates: usize, duration: Duration) -> Vec<Transaction> {
    let mut transactions = Vec::new();
    let mut at = Duration::ZERO;
    while at < duration {
        let pause = match dice.below(10) {
            0..7 => dice.millis(0, 25),
            _ => dice.millis(0, 120),
        };
        let first = dice.below(aggregates as u64) as usize;
        let second = if dice.chance(15) { dice.below(aggregates as u64) as usize } else { first };
        let events = (0..dice.between(1, 3)).map(|_| (*dice.pick(&[first, second]), body(dice))).collect();
        let hold = match dice.below(20) {
            0..14 => Duration::ZERO,
            14..19 => dice.millis(1, 60),
            _ => dice.millis(60, 600),
        };
        let commits = dice.chance(80);
        at += pause + hold + Duration::from_millis(8);
        transactions.push(Transaction { pause, events, hold, commits });
    }
    transactions
}

fn body(dice: &mut Dice) -> Body {
    match dice.below(1_000) {
        0..3 => Body::LongKey,
        3..5 => Body::TooLarge,
        5..11 => Body::Unroutable,
        11..200 => Body::Good(dice.between(200, 2_000) as usize),
        _ => Body::Good(10),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} publishers, in flight {}, lease {:?}, deadline {:?}, {} aggregates{}; at the end poison is {}",
            self.publishers,
            self.batch_size,
            self.lease,
            self.publish_deadline,
            self.aggregates,
            if self.narrow { ", a narrow queue" } else { "" },
            if self.cure_at_the_end { "cured" } else { "left" },
        )?;
        for (at, action) in &self.actions {
            writeln!(f, "{:>7.3} {action:?}", at.as_secs_f64())?;
        }
        for (writer, transactions) in self.writers.iter().enumerate() {
            writeln!(f, "writer {writer}:")?;
            for transaction in transactions {
                writeln!(f, "    {transaction}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:?}:", self.pause)?;
        for (aggregate, body) in &self.events {
            write!(f, " a{aggregate} {body:?},")?;
        }
        if !self.hold.is_zero() {
            write!(f, " hold {:?},", self.hold)?;
        }
        f.write_str(if self.commits { " commit" } else { " roll back" })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{SEEDS, regressions};

    /// The actions of a plan without their details.
    fn kinds(seed: u64) -> BTreeSet<String> {
        let name = |action: &Action| match action {
            Action::Cut(server, _) => format!("Cut{server:?}"),
            Action::Silence(server, _, direction) => format!("Silence{server:?}{direction:?}"),
            Action::Stop(_) => "Stop".to_owned(),
            Action::Crash(_) => "Crash".to_owned(),
            _ => format!("{action:?}"),
        };
        let plan = Plan::new(seed);
        let word = |text: String| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
        plan.actions.iter().map(|(_, action)| word(name(action))).collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| Plan::new(seed).to_string();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn the_seeds_that_always_run_know_every_fault_and_one_knows_none() {
        let all: BTreeSet<String> = (0..300).flat_map(kinds).collect();
        let known: BTreeSet<String> =
            SEEDS.iter().chain(regressions::SEEDS).copied().flat_map(kinds).collect();
        assert_eq!(known, all);
        assert!(SEEDS.iter().any(|seed| Plan::new(*seed).faults() == 0));
    }
}
