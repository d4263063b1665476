//! The world that the candidates live in. It judges them at each step.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::*;

/// The longest that a slow network takes, each way.
const SLOW: u64 = 8 * SECOND;
/// How long the runner waits for an answer, by the candidate's clock.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(RENEW_DEADLINE * 1000 / 3);
/// How long the runner tries to give the Lease back.
const RELEASE: u64 = 2 * SECOND;
/// Requests of one candidate within one retry period, at the very most.
const STORM: usize = 40;

#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    Request,
    Answer,
    Slow,
    Refused,
}

/// What somebody who takes no part does to the Lease.
#[derive(Clone, Copy, Debug)]
pub(super) enum Foreign {
    /// A label: a new version, the same record.
    Touch,
    /// A new time of renewal, the holder's or not.
    Renew,
    /// Another holder, who will never renew.
    Usurp,
    /// Another duration.
    Claim(Option<i32>),
    Clear,
    Delete,
}

/// What happens to whom, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Pause(usize, u64),
    Network(usize, Loss, u64),
    /// Without the watch.
    Blind(usize, u64),
    /// Comes back after that time, as another.
    Crash(usize, u64),
    Stop(usize, u64),
    Foreign(Foreign),
}

#[derive(Clone, Debug)]
enum Event {
    Wake(usize),
    /// A request reaches the store, and whether its answer will reach the candidate.
    Arrive(usize, u64, Request, Option<u64>),
    Answer(usize, u64, Answer),
    Timeout(usize, u64),
    Hint(usize, Option<Record>),
    /// The runner's patience with a release is over, in that life of it.
    Kill(usize, u64),
    Start(usize),
}

struct Candidate {
    core: Core,
    identity: String,
    offset: u64,
    rate: f64,
    life: u64,
    alive: bool,
    stopping: bool,
    paused_until: u64,
    lossy: Option<(Loss, u64)>,
    blind_until: u64,
    in_flight: Option<u64>,
    looked_last: bool,
    /// What a publisher relies on: the end by its own clock, and when it was asked for in true time.
    tenure: Option<(Duration, u64)>,
    asked_truly: BTreeMap<Duration, u64>,
    sent: Vec<Duration>,
}

pub(super) struct World {
    pub(super) now: u64,
    candidates: Vec<Candidate>,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    what: BTreeMap<u64, Event>,
    serial: u64,
    seed: u64,
    lease: Option<(u64, Record)>,
    version: u64,
    /// When the last force was used.
    forced: Option<u64>,
    /// The longest that a holder was said to last.
    claimed: bool,
    lives: u64,
    /// Whether the watch tells now and then of a change only seconds later.
    pub(super) lazy_watch: bool,
}

impl World {
    pub(super) fn new(clocks: &[(u64, f64)], seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            candidates: Vec::new(),
            events: BinaryHeap::new(),
            what: BTreeMap::new(),
            serial: 0,
            seed,
            lease: None,
            version: 0,
            forced: None,
            claimed: false,
            lives: 0,
            lazy_watch: true,
        };
        for (who, (offset, rate)) in clocks.iter().enumerate() {
            world.candidates.push(Candidate {
                core: Core::new(String::new(), settings()),
                identity: String::new(),
                offset: *offset,
                rate: *rate,
                life: 0,
                alive: false,
                stopping: false,
                paused_until: 0,
                lossy: None,
                blind_until: 0,
                in_flight: None,
                looked_last: false,
                tenure: None,
                asked_truly: BTreeMap::new(),
                sent: Vec::new(),
            });
            let at = world.random(3 * SECOND);
            world.after(at, Event::Start(who));
        }
        world
    }

    /// Lets each fault happen so long after the one before.
    pub(super) fn play(&mut self, script: &[(u64, Fault)]) {
        for (gap, fault) in script {
            self.run_until(self.now + gap);
            self.fault(*fault);
        }
    }

    pub(super) fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, serial))) = self.events.peek().copied().filter(|next| next.0.0 <= end) {
            self.events.pop();
            self.now = at;
            if let Some(event) = self.what.remove(&serial) {
                self.happen(event);
            }
        }
        self.now = end;
    }

    /// Who is the leader now.
    pub(super) fn leader(&self) -> Option<usize> {
        (0..self.candidates.len()).find(|who| self.has_right(*who))
    }

    /// All faults over: one becomes the leader, and stays.
    pub(super) fn settle(&mut self) {
        let last = |candidate: &Candidate| {
            let lossy = candidate.lossy.map_or(0, |(_, until)| until);
            candidate.paused_until.max(lossy).max(candidate.blind_until)
        };
        let quiet = self.candidates.iter().map(last).max().unwrap_or_default();
        // Those who are away come back by then.
        let quiet = quiet.max(self.now + 43 * SECOND) + SLOW * 2;
        let patience = if self.claimed { 300 } else { LEASE } * SECOND * 10 / 8;
        self.run_until(quiet + patience + 10 * SECOND);
        let leader = self.leader().expect("somebody leads when all is well");
        for candidate in &mut self.candidates {
            candidate.sent.clear();
        }
        for _ in 0..60 {
            self.run_until(self.now + SECOND);
            assert_eq!(self.leader(), Some(leader), "without a fault the leader does not change");
        }
        for candidate in &self.candidates {
            // A request per retry period each, and none beside.
            assert!(candidate.sent.len() <= 60 * 12 / 10 / 2 + 2, "{} requests", candidate.sent.len());
        }
    }

    fn fault(&mut self, fault: Fault) {
        let count = self.candidates.len();
        match fault {
            Fault::Pause(who, long) => self.candidates[who % count].paused_until = self.now + long,
            Fault::Network(who, loss, long) => {
                self.candidates[who % count].lossy = Some((loss, self.now + long));
            }
            Fault::Blind(who, long) => self.candidates[who % count].blind_until = self.now + long,
            Fault::Crash(who, long) => {
                self.kill(who % count);
                self.after(long, Event::Start(who % count));
            }
            Fault::Stop(who, long) => {
                let who = who % count;
                if self.candidates[who].alive && !self.candidates[who].stopping {
                    let candidate = &mut self.candidates[who];
                    candidate.stopping = true;
                    candidate.core.stop();
                    let life = candidate.life;
                    self.after(0, Event::Wake(who));
                    self.after(RELEASE, Event::Kill(who, life));
                    self.after(RELEASE + long, Event::Start(who));
                    self.publish(who);
                }
            }
            Fault::Foreign(foreign) => self.meddle(foreign),
        }
    }

    fn meddle(&mut self, foreign: Foreign) {
        let Some((_, mut record)) = self.lease.clone() else { return };
        match foreign {
            Foreign::Touch => {}
            Foreign::Renew => record.renewed = i64::try_from(self.now).ok(),
            Foreign::Usurp => {
                record.holder = "foreign".to_owned();
                record.renewed = i64::try_from(self.now).ok();
            }
            Foreign::Claim(seconds) => {
                record.seconds = seconds;
                self.claimed |= seconds == Some(i32::MAX);
            }
            Foreign::Clear => {
                record.holder.clear();
                self.forced = Some(self.now);
            }
            Foreign::Delete => self.forced = Some(self.now),
        }
        self.store((!matches!(foreign, Foreign::Delete)).then_some(&record));
    }

    fn kill(&mut self, who: usize) {
        let candidate = &mut self.candidates[who];
        candidate.alive = false;
        candidate.in_flight = None;
        candidate.tenure = None;
    }

    fn start(&mut self, who: usize) {
        self.lives += 1;
        let candidate = &mut self.candidates[who];
        candidate.life = self.lives;
        candidate.identity = format!("{who}/{}", self.lives);
        candidate.core = Core::new(candidate.identity.clone(), settings());
        (candidate.alive, candidate.stopping, candidate.looked_last) = (true, false, false);
        (candidate.in_flight, candidate.tenure) = (None, None);
        let record = self.lease.clone().map(|(_, record)| record);
        let delay = self.random(SECOND / 10);
        self.after(delay, Event::Hint(who, record));
        self.go_on(who);
    }

    fn happen(&mut self, event: Event) {
        let who = match event {
            Event::Arrive(who, id, request, answer_after) => {
                return self.arrive(who, id, request, answer_after);
            }
            Event::Start(who) => return self.start(who),
            Event::Wake(who)
            | Event::Answer(who, ..)
            | Event::Timeout(who, _)
            | Event::Hint(who, _)
            | Event::Kill(who, _) => who,
        };
        let candidate = &self.candidates[who];
        if !candidate.alive {
            return;
        }
        if candidate.paused_until > self.now {
            // Of an answer and a time-out that both wait for it, the answer wins.
            let late = u64::from(matches!(event, Event::Timeout(..)));
            return self.after(candidate.paused_until - self.now + late, event);
        }
        let at = self.moment(who);
        let candidate = &mut self.candidates[who];
        match event {
            Event::Answer(_, id, answer) if candidate.in_flight == Some(id) => {
                candidate.in_flight = None;
                candidate.core.answer(answer, at);
            }
            Event::Timeout(_, id) if candidate.in_flight == Some(id) => {
                candidate.in_flight = None;
                candidate.core.answer(Answer::Failed, at);
            }
            Event::Hint(_, record) => candidate.core.hint(record, at.now),
            Event::Wake(_) => {}
            Event::Kill(_, life) if candidate.life == life => return self.kill(who),
            _ => return,
        }
        self.go_on(who);
    }

    /// What the runner does: asks what the core wants asked, hands out the right, sleeps.
    fn go_on(&mut self, who: usize) {
        let at = self.moment(who);
        let had = self.candidates[who].core.tenure(at.now).is_some();
        let step = self.candidates[who].core.step(at);
        self.publish(who);
        match step {
            Step::Ask(request) => self.send(who, request, had, at.now),
            Step::Rest(until) => {
                let candidate = &self.candidates[who];
                let until = candidate.core.tenure_ends().map_or(until, |end| end.min(until));
                if until != Duration::MAX {
                    let wait = until.saturating_sub(at.now).as_secs_f64() / candidate.rate * 1e6;
                    self.after(wait as u64 + 2, Event::Wake(who));
                }
            }
            Step::Done => {
                let held = self
                    .lease
                    .as_ref()
                    .is_some_and(|(_, lease)| lease.holder == self.candidates[who].identity);
                let quiet = self.candidates[who].lossy.is_none();
                assert!(!held || !quiet, "whoever stops gives back what it holds");
                self.kill(who);
            }
        }
    }

    fn send(&mut self, who: usize, request: Request, leading: bool, now: Duration) {
        let id = self.serial();
        let (there, back) = (1000 + self.random(SECOND / 20), 1000 + self.random(SECOND / 20));
        let (slow_there, slow_back) = (self.random(SLOW), self.random(SLOW));
        let candidate = &mut self.candidates[who];
        let look = request == Request::Look;
        assert!(
            look || leading || candidate.stopping || candidate.looked_last,
            "whoever is not the leader writes only what it has just looked at"
        );
        candidate.looked_last = look;
        candidate.in_flight = Some(id);
        candidate.asked_truly.insert(now, self.now);
        candidate.sent.push(now);
        let window = now.saturating_sub(Duration::from_secs(RETRY));
        let recent = candidate.sent.iter().rev().take_while(|sent| **sent > window).count();
        assert!(recent <= STORM, "{recent} requests within a retry period");
        let wait = (REQUEST_TIMEOUT.as_secs_f64() / candidate.rate * 1e6) as u64;
        let loss = candidate.lossy.filter(|(_, until)| *until > self.now).map(|(loss, _)| loss);
        self.after(wait, Event::Timeout(who, id));
        match loss {
            None => self.after(there, Event::Arrive(who, id, request, Some(back))),
            Some(Loss::Request) => {}
            Some(Loss::Answer) => self.after(there, Event::Arrive(who, id, request, None)),
            Some(Loss::Slow) => self.after(slow_there, Event::Arrive(who, id, request, Some(slow_back))),
            Some(Loss::Refused) => self.after(there, Event::Answer(who, id, Answer::Failed)),
        }
    }

    /// The store's part: compare and swap.
    fn arrive(&mut self, who: usize, id: u64, request: Request, answer_after: Option<u64>) {
        let answer = match (request, &self.lease) {
            (Request::Look, None) => Answer::Missing,
            (Request::Look, Some(_)) => self.found(),
            (Request::Write(write), None) => match write.over {
                None => self.write(who, &write, None),
                Some(_) => Answer::Missing,
            },
            (Request::Write(write), Some((version, record))) => {
                if write.over == Some(version.to_string()) {
                    let before = record.clone();
                    self.write(who, &write, Some(&before))
                } else {
                    Answer::Conflict
                }
            }
        };
        if let Some(after) = answer_after {
            self.after(after, Event::Answer(who, id, answer));
        }
    }

    fn found(&self) -> Answer {
        let Some((version, record)) = &self.lease else { return Answer::Missing };
        Answer::Found(Found { version: version.to_string(), record: record.clone() })
    }

    fn write(&mut self, who: usize, write: &Write, before: Option<&Record>) -> Answer {
        // Wall clocks are no better than the others, and only ever compared.
        let wall = i64::try_from(self.moment(who).now.as_micros()).ok();
        let old = before.cloned().unwrap_or_default();
        let transfer = write.holder != old.holder && !write.holder.is_empty();
        let counted = old.transitions + i32::from(transfer && before.is_some());
        assert_eq!(write.transitions, counted, "from {:?} to {:?}", old.holder, write.holder);
        assert_eq!(write.keep_acquired, write.holder == old.holder && before.is_some());
        let record = Record {
            holder: write.holder.clone(),
            seconds: Some(write.seconds),
            transitions: write.transitions,
            acquired: if write.keep_acquired { old.acquired } else { wall },
            renewed: wall,
        };
        self.store(Some(&record));
        self.found()
    }

    /// Changes the Lease, and lets the watches tell of it sooner or later, in whatever order.
    fn store(&mut self, record: Option<&Record>) {
        self.version += 1;
        self.lease = record.map(|record| (self.version, record.clone()));
        for who in 0..self.candidates.len() {
            let late = self.lazy_watch && self.random(20) == 0;
            let delay = 1000 + self.random(if late { 5 * SECOND } else { SECOND / 20 });
            if self.candidates[who].blind_until <= self.now {
                self.after(delay, Event::Hint(who, record.cloned()));
            }
        }
    }

    /// Hands out the core's tenure, and checks that nobody else has one.
    fn publish(&mut self, who: usize) {
        let now = self.moment(who).now;
        let candidate = &mut self.candidates[who];
        let tenure = candidate.core.tenure(now);
        let asked = tenure.map(|tenure| *candidate.asked_truly.get(&tenure.asked).unwrap_or(&0));
        candidate.tenure = tenure
            .zip(asked)
            .map(|(tenure, asked)| (tenure.asked + Duration::from_secs(RENEW_DEADLINE), asked));
        if candidate.tenure.is_none() {
            return;
        }
        for other in (0..self.candidates.len()).filter(|other| *other != who && self.has_right(*other)) {
            let asked = self.candidates[other].tenure.map_or(0, |(_, asked)| asked);
            let mine = self.candidates[who].tenure.map_or(0, |(_, asked)| asked);
            let forced = self.forced.is_some_and(|forced| asked.min(mine) <= forced);
            assert!(forced, "{who} and {other} both lead at {}", self.now);
        }
    }

    fn has_right(&self, who: usize) -> bool {
        let candidate = &self.candidates[who];
        candidate.alive && candidate.tenure.is_some_and(|(end, _)| self.local(who) < end)
    }

    fn local(&self, who: usize) -> Duration {
        let candidate = &self.candidates[who];
        Duration::from_secs(candidate.offset)
            + Duration::from_secs_f64(self.now as f64 * candidate.rate / 1e6)
    }

    fn moment(&mut self, who: usize) -> Moment {
        let chance = self.random(1000) as f64 / 1000.0;
        Moment { now: self.local(who), chance }
    }

    fn after(&mut self, delay: u64, event: Event) {
        let serial = self.serial();
        self.what.insert(serial, event);
        self.events.push(Reverse((self.now + delay, serial)));
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// SplitMix64.
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % below
    }
}
