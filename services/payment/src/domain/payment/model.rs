//! A payment beside a provider whose network loses, delays and repeats, and a worker that crashes anywhere.

use proptest::prelude::*;

use super::{
    tests::{at, payment},
    *,
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is carried out, and the answer arrives.
    Answered,
    /// The provider takes no calls.
    NotTaken,
    /// It is lost on the way.
    Lost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It arrives much later.
    Delayed,
    /// The worker crashes before it makes the call.
    CrashBefore,
    /// The call is carried out, and the worker crashes before it records the answer.
    CrashAfter,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Cancelled,
    Passes {
        seconds: i64,
    },
    Works(Fate),
    /// What was delayed arrives.
    Arrives,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Book {
    Charged,
    Declined,
    Void,
    Refunded,
}

struct World {
    payment: Payment,
    now: i64,
    declines: bool,
    book: Option<Book>,
    charges: u32,
    delayed: Vec<Call>,
    announced: Vec<Announcement>,
    cancelled: bool,
}

impl World {
    fn new(declines: bool) -> Self {
        Self {
            payment: payment(),
            now: 0,
            declines,
            book: None,
            charges: 0,
            delayed: Vec::new(),
            announced: Vec::new(),
            cancelled: false,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Cancelled => {
                self.cancelled = true;
                self.payment.cancel(at(self.now));
            }
            Event::Passes { seconds } => self.now += seconds,
            Event::Works(fate) => self.work(fate),
            Event::Arrives => {
                for call in std::mem::take(&mut self.delayed) {
                    self.carry_out(call);
                }
            }
        }
    }

    fn work(&mut self, fate: Fate) {
        let call = match self.payment.next(at(self.now)) {
            Next::Rest => return,
            Next::EndUncharged => {
                self.announced.extend(self.payment.end_uncharged(at(self.now)));
                return;
            }
            Next::Call(call) => call,
        };
        let doubt = self.payment.doubt;
        self.payment.begin(call, at(self.now));
        let lost = || Err(CallError::Unknown("lost".to_owned()));
        let outcome = match fate {
            Fate::Answered => Ok(self.carry_out(call)),
            Fate::NotTaken => Err(CallError::NotDone("refused".to_owned())),
            Fate::Lost => lost(),
            Fate::AnswerLost => {
                self.carry_out(call);
                lost()
            }
            Fate::Delayed => {
                self.delayed.push(call);
                lost()
            }
            Fate::CrashBefore => return,
            Fate::CrashAfter => {
                self.carry_out(call);
                return;
            }
        };
        let pause = TimeDelta::seconds(1);
        self.announced.extend(self.payment.conclude(call, doubt, outcome, at(self.now), pause));
    }

    /// The provider, by the rules of its port.
    fn carry_out(&mut self, call: Call) -> Verdict {
        match (call, self.book) {
            (Call::Charge, None) => {
                self.book = Some(if self.declines { Book::Declined } else { Book::Charged });
                self.charges += u32::from(!self.declines);
            }
            (Call::Void, None) => self.book = Some(Book::Void),
            (Call::Refund, Some(Book::Charged)) => self.book = Some(Book::Refunded),
            _ => {}
        }
        let reason = "declined".to_owned();
        match (call, self.book) {
            (Call::Refund, Some(Book::Refunded)) => Verdict::Refunded,
            (Call::Refund, book) => panic!("a refund of {book:?}"),
            (_, None) => Verdict::Missing,
            (_, Some(Book::Charged | Book::Refunded)) => Verdict::Charged { reference: "ch_1".to_owned() },
            (_, Some(Book::Declined)) => Verdict::Declined { reason },
            (Call::Void, Some(Book::Void)) => Verdict::Void,
            (_, Some(Book::Void)) => Verdict::Declined { reason },
        }
    }

    /// The provider is back and the worker no longer crashes: the payment ends, and whatever was still delayed changes nothing.
    fn ends(&mut self) {
        for _ in 0..6 {
            self.work(Fate::Answered);
        }
        let state = self.payment.state;
        assert_eq!(self.payment.next(at(self.now)), Next::Rest, "{state}");
        assert_eq!(self.payment.due_at, None);
        self.happens(Event::Arrives);
    }

    fn agrees(&self) {
        assert!(self.charges <= 1, "charged twice");
        let count = |of: fn(&Announcement) -> bool| self.announced.iter().filter(|event| of(event)).count();
        let processed = count(|event| matches!(event, Announcement::Processed(_)));
        let failed = count(|event| matches!(event, Announcement::Failed(_)));
        let refunded = count(|event| matches!(event, Announcement::Refunded(_)));
        assert!(processed + failed <= 1, "{:?}", self.announced);
        assert!(refunded <= processed, "{:?}", self.announced);
        assert_eq!(self.payment.version, self.announced.len() as i64);
        let charged = self.charges == 1;
        let books = (self.payment.state, charged, self.book);
        match self.payment.state {
            State::Pending => {}
            State::Processed => assert_eq!(books, (State::Processed, true, Some(Book::Charged))),
            State::Refunding => assert!(charged, "{books:?}"),
            State::Refunded => assert_eq!(books, (State::Refunded, true, Some(Book::Refunded))),
            State::Failed | State::Cancelled => assert!(!charged, "{books:?}"),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop_oneof![
        3 => Just(Fate::Answered),
        1 => Just(Fate::NotTaken),
        1 => Just(Fate::Lost),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Delayed),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
    ];
    prop_oneof![
        6 => fate.prop_map(Event::Works),
        1 => Just(Event::Cancelled),
        2 => (0i64..400).prop_map(|seconds| Event::Passes { seconds }),
        1 => Just(Event::Arrives),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_lost_nobody_is_charged_twice_or_for_nothing_and_it_ends(
        declines in any::<bool>(),
        events in prop::collection::vec(event(), 0..20),
    ) {
        let mut world = World::new(declines);
        for event in events {
            world.happens(event);
            world.agrees();
        }
        world.ends();
        world.agrees();
        if world.cancelled {
            let ended = world.payment.state;
            prop_assert!(matches!(ended, State::Failed | State::Cancelled | State::Refunded), "{}", ended);
        }
    }
}
