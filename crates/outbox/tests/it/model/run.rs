//! A run of a plan: everything that it names, at work at the same time.

use std::{collections::HashMap, fmt::Write as _, ops::Range, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, QueryResult, Statement,
};
use shop_messaging::{Broker, PublisherOptions};
use shop_outbox::{Options, OutboxMetrics, Pool, Publisher, Store};
use shop_testing::{Held, Proxy, TestBroker, TestDatabase};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    audit,
    check::{Outcome, Row},
    ledger::Ledger,
    plan::{Action, Direction, Operation, Plan, Server, Who},
    queue::Queue,
    report::Report,
    writer::{self, Writer},
};
use crate::support::{EXCHANGE, Fixture, Running};

/// How long nothing may change before a run is given up. Longer than a lease and all pauses.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the narrow queue holds.
const NARROW: u32 = 25;
const PUBLISHER: &str = "model publisher";

struct Run<'a> {
    plan: &'a Plan,
    fixture: Fixture,
    real: Option<Real>,
    ledger: Arc<Ledger>,
    slots: Vec<Slot>,
    seen: Queue,
    narrow: Option<Queue>,
    /// What a publisher that was asked to stop still does.
    stopping: JoinSet<()>,
    watches: JoinSet<()>,
    /// How many publishers were started.
    incarnations: u32,
}

/// What a real run has, and an embedded one has not.
struct Real {
    broker: TestBroker,
    database: TestDatabase,
}

/// Where a publisher runs, or does not run just now.
#[derive(Default)]
struct Slot {
    /// With whether it was asked to stop.
    running: Option<(Running, CancellationToken)>,
    /// To the broker and to the database.
    networks: Option<(Proxy, Proxy)>,
}

/// `None` when its backends cannot be had.
pub(crate) async fn on_real_backends(plan: &Plan) -> Option<Report> {
    let real = Real { database: shop_testing::postgres().await?, broker: shop_testing::rabbitmq().await? };
    let url = named(&real.database.url, audit::OPERATOR);
    let fixture = Fixture::on(&url, &real.broker.url).await;
    Some(run(plan, fixture, Some(real)).await)
}

pub(crate) async fn on_embedded_backends(plan: &Plan) -> Report {
    run(plan, Fixture::embedded().await, None).await
}

async fn run(plan: &Plan, fixture: Fixture, real: Option<Real>) -> Report {
    let mut run = Run::prepare(plan, fixture, real).await;
    let mut writing = JoinSet::new();
    for (number, transactions) in plan.writers.iter().enumerate() {
        let writer = run.writer(number).await;
        writing.spawn(writer.work(transactions.clone()));
    }
    let began = Instant::now();
    for (at, action) in &plan.actions {
        tokio::time::sleep_until(began + *at).await;
        run.ledger.note(format!("{action:?}"));
        run.act(*action).await;
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    run.ledger.note("all is written");
    run.finish().await
}

impl<'a> Run<'a> {
    async fn prepare(plan: &'a Plan, fixture: Fixture, real: Option<Real>) -> Self {
        fixture.execute(writer::TABLES).await;
        // One more than the writers share.
        for aggregate in 0..=plan.aggregates {
            let name = writer::name(aggregate);
            fixture.execute(&format!("INSERT INTO model_aggregates VALUES ('{name}', 0)")).await;
        }
        if real.is_some() {
            fixture.execute(audit::TRIGGERS).await;
        }
        let mut slots = Vec::new();
        for _ in 0..plan.publishers {
            let networks = match &real {
                Some(real) => Some((Proxy::to(&real.broker.url).await, Proxy::to(&real.database.url).await)),
                None => None,
            };
            slots.push(Slot { running: None, networks });
        }
        let mut seen = Queue::declare(&fixture.broker, "seen", 1_000_000).await;
        seen.resume();
        let mut narrow = None;
        if plan.narrow {
            let mut queue = Queue::declare(&fixture.broker, "narrow", NARROW).await;
            queue.resume();
            narrow = Some(queue);
        }
        Self {
            plan,
            fixture,
            real,
            ledger: Arc::default(),
            slots,
            seen,
            narrow,
            stopping: JoinSet::new(),
            watches: JoinSet::new(),
            incarnations: 0,
        }
    }

    async fn writer(&self, number: usize) -> Writer {
        let name = format!("writer-{number}");
        let database = match &self.real {
            Some(real) => connect(&named(&real.database.url, &name)).await,
            None => self.fixture.another_connection().await,
        };
        Writer { name, database, ledger: self.ledger.clone() }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Start => {
                for slot in 0..self.slots.len() {
                    self.start(slot).await;
                }
            }
            Action::Stop(who) => self.those(who).for_each(|slot| self.stop(slot)),
            Action::Crash(who) => self.those(who).for_each(|slot| self.slots[slot].running = None),
            Action::TakeOver(keep) => self.take_over(keep).await,
            Action::Cut(server, who) => self.network(server, who, Proxy::cut),
            Action::Silence(server, who, direction) => {
                let held = match direction {
                    Direction::Both => Held::Everything,
                    Direction::Answers => Held::Answers,
                };
                self.network(server, who, |proxy| proxy.hold(held));
            }
            Action::Free(server) => self.network(server, Who::All, |proxy| proxy.hold(Held::Nothing)),
            Action::CloseConnections => {
                if let Some(real) = &self.real {
                    real.broker.close_connections(PUBLISHER).await;
                }
            }
            Action::DeleteExchange => {
                if let Some(real) = &self.real {
                    real.broker.delete_exchange(EXCHANGE).await;
                }
            }
            Action::Rebind => self.seen.bind().await,
            Action::HaltNarrow => {
                if let Some(narrow) = &mut self.narrow {
                    narrow.halt().await;
                }
            }
            Action::ResumeNarrow => {
                if let Some(narrow) = &mut self.narrow {
                    narrow.resume();
                }
            }
            Action::EndSessions { writers } => self.end_sessions(writers).await,
            Action::SkipIds => self.skip_ids().await,
            Action::Operate(operation) => self.operate(operation).await,
        }
    }

    async fn start(&mut self, slot: usize) {
        if self.slots[slot].running.is_some() {
            return;
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let holder = format!("publisher-{slot}.{incarnation}");
        let (store, broker) = match (&self.slots[slot].networks, &self.real) {
            (Some((broker, database)), Some(_)) => {
                // The database may be away when a publisher starts.
                let pool = Pool::lazily(&named(database.url(), &holder)).unwrap();
                (Store::new(pool, "publisher"), Broker::open(broker.url(), None).unwrap())
            }
            _ => (self.fixture.store().await, self.fixture.broker.clone()),
        };
        let transport = PublisherOptions {
            fence: Some("events.publisher".to_owned()),
            max_payload: writer::MAX_PAYLOAD,
            ..PublisherOptions::new(EXCHANGE, PUBLISHER)
        };
        let publisher = Publisher::new(
            store,
            broker.publisher(transport),
            self.options(&holder),
            OutboxMetrics::default(),
        );
        let (running, stopped) = (Running::start(publisher), CancellationToken::new());
        self.watch(&running, holder, stopped.clone());
        self.slots[slot].running = Some((running, stopped));
    }

    fn options(&self, holder: &str) -> Options {
        let mut options = Fixture::options(holder);
        options.batch_size = self.plan.batch_size;
        options.max_bytes = 16 * 1024;
        options.lease = self.plan.lease;
        options.publish_deadline = self.plan.publish_deadline;
        options.retry.max_attempts = 4;
        options.retention = None;
        options
    }

    /// Writes down where the publisher stands.
    fn watch(&mut self, running: &Running, holder: String, stopped: CancellationToken) {
        let (mut progress, ledger) = (running.progress.clone(), self.ledger.clone());
        self.watches.spawn(async move {
            let mut leading = None;
            while progress.changed().await.is_ok() {
                let now = progress.borrow_and_update().clone();
                ledger.note(format!("    {holder}: {now:?}"));
                let mut entries = ledger.write();
                let epoch = now.leading.then_some(now.epoch);
                if leading.is_some() && leading != epoch && !stopped.is_cancelled() {
                    entries.lapses += 1;
                }
                entries.leaders.extend(epoch.map(|epoch| (epoch, holder.clone())));
                leading = epoch;
            }
            ledger.note(format!("    {holder}: gone"));
        });
    }

    fn stop(&mut self, slot: usize) {
        let Some((running, stopped)) = self.slots[slot].running.take() else { return };
        stopped.cancel();
        let (ledger, lease) = (self.ledger.clone(), self.plan.lease);
        self.stopping.spawn(async move {
            let began = Instant::now();
            // While its database is silent it cannot stop, and is killed by whoever asked.
            let _ = tokio::time::timeout(Duration::from_secs(10), running.stop()).await;
            if began.elapsed() > lease / 2 {
                ledger.write().slow_stops += 1;
            }
        });
    }

    async fn take_over(&self, keep: Duration) {
        let until = match self.fixture.backend() {
            DbBackend::Postgres => {
                format!("clock_timestamp() + interval '{} milliseconds'", keep.as_millis())
            }
            _ => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '{} seconds')", keep.as_secs_f64()),
        };
        let sql = format!(
            "UPDATE outbox_publishers SET epoch = epoch + 1, holder = 'an intruder', lease_expires_at = {until}"
        );
        self.execute(&sql).await;
    }

    /// Which slots; the first, when nobody leads.
    fn those(&self, who: Who) -> Range<usize> {
        let leads =
            |slot: &Slot| slot.running.as_ref().is_some_and(|(running, _)| running.progress.borrow().leading);
        let one = match who {
            Who::All => return 0..self.slots.len(),
            Who::Slot(slot) => slot,
            Who::Leader => self.slots.iter().position(leads).unwrap_or_default(),
        };
        one..one + 1
    }

    fn network(&self, server: Server, who: Who, act: impl Fn(&Proxy)) {
        for slot in self.those(who) {
            if let Some((broker, database)) = &self.slots[slot].networks {
                act(if server == Server::Broker { broker } else { database });
            }
        }
    }

    async fn end_sessions(&self, writers: bool) {
        let writers = if writers { "OR application_name LIKE 'writer-%'" } else { "" };
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND (application_name LIKE 'publisher-%' {writers})"
        );
        self.execute(&sql).await;
    }

    async fn skip_ids(&self) {
        let sql = match self.fixture.backend() {
            DbBackend::Postgres => {
                "SELECT nextval(pg_get_serial_sequence('outbox_messages', 'id')) FROM generate_series(1, 40)"
            }
            _ => "UPDATE sqlite_sequence SET seq = seq + 40 WHERE name = 'outbox_messages'",
        };
        self.execute(sql).await;
    }

    async fn operate(&self, operation: Operation) {
        let poison = writer::IS_POISON;
        let oldest = format!("status = 'dead' AND {poison} ORDER BY id LIMIT 1");
        match operation {
            Operation::Redrive => self.redrive("status = 'dead'").await,
            Operation::Cure => self.cure(&oldest).await,
            Operation::Discard => {
                let began = Instant::now();
                for (id, message) in self.dead(&oldest).await {
                    self.execute(&format!("DELETE FROM outbox_messages WHERE id = {id}")).await;
                    self.ledger.note(format!("discarded {message}"));
                    self.ledger.write().discarded.insert(message, began);
                }
            }
        }
    }

    async fn redrive(&self, which: &str) {
        for (id, message) in self.dead(which).await {
            self.ledger.note(format!("redrives {message}"));
            self.revive(id, "").await;
        }
    }

    async fn cure(&self, which: &str) {
        for (id, message) in self.dead(which).await {
            self.ledger.note(format!("cures {message}"));
            self.ledger.write().cured.insert(message);
            self.revive(id, &format!("routing_key = '{}', payload = '{{}}',", writer::ROUTING_KEY)).await;
        }
    }

    async fn revive(&self, id: i64, cure: &str) {
        let sql = format!(
            "UPDATE outbox_messages SET {cure} status = 'pending', attempts = 0, available_at = NULL
             WHERE id = {id}"
        );
        self.execute(&sql).await;
    }

    /// Dead rows, which nobody touches but the operator, who will make them forget their attempts.
    async fn dead(&self, which: &str) -> Vec<(i64, Uuid)> {
        let rows =
            self.query(&format!("SELECT id, message_id, attempts FROM outbox_messages WHERE {which}")).await;
        let mut dead = Vec::new();
        for row in rows {
            let message = row.try_get("", "message_id").unwrap();
            let attempts: i32 = row.try_get("", "attempts").unwrap();
            *self.ledger.write().forgotten_attempts.entry(message).or_default() += attempts as usize;
            dead.push((row.try_get("", "id").unwrap(), message));
        }
        dead
    }

    /// As the operator, who tries again where SQLite has let others through for too long.
    async fn execute(&self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.fixture.database.execute_unprepared(sql).await {
            assert!(self.real.is_none() && Instant::now() < deadline, "{sql}: {error}");
        }
    }

    async fn query(&self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(self.fixture.backend(), sql);
        self.fixture.database.query_all_raw(statement).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        self.query(sql).await[0].try_get_by_index(0).unwrap()
    }

    /// Lifts all faults, waits until nothing is left to do, and looks at what became of it.
    async fn finish(mut self) -> Report {
        for lift in [
            Action::Free(Server::Broker),
            Action::Free(Server::Database),
            Action::Rebind,
            Action::ResumeNarrow,
            Action::Start,
        ] {
            self.act(lift).await;
        }
        let mut violations = Vec::new();
        if !self.settle().await {
            violations.push("not all was sent: rows wait, and nothing moves".to_owned());
        }
        for slot in 0..self.slots.len() {
            self.stop(slot);
        }
        while let Some(stopped) = self.stopping.join_next().await {
            stopped.unwrap();
        }
        if !self.drain().await {
            violations.push("a queue does not get its last message".to_owned());
        }
        self.report(violations).await
    }

    /// Waits until no row waits but those behind a dead one; `false` when nothing moves any more.
    async fn settle(&self) -> bool {
        let (mut before, mut moved) = (0, Instant::now());
        loop {
            // What the broker refused while a fault lasted is not at fault itself.
            let died = format!("status = 'dead' AND NOT {}", writer::IS_POISON);
            self.redrive(&died).await;
            if self.plan.cure_at_the_end {
                self.cure("status = 'dead'").await;
            }
            let wait = self
                .number(
                    "SELECT count(*) FROM outbox_messages AS m WHERE status = 'pending' AND NOT EXISTS (
                        SELECT 1 FROM outbox_messages AS earlier
                        WHERE earlier.aggregate_id = m.aggregate_id AND earlier.id < m.id
                          AND earlier.status = 'dead')",
                )
                .await;
            if wait == 0
                && self.number(&format!("SELECT count(*) FROM outbox_messages WHERE {died}")).await == 0
            {
                return true;
            }
            let sent = self.number("SELECT count(*) FROM outbox_messages WHERE status = 'sent'").await;
            if sent != before {
                (before, moved) = (sent, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the queues' consumers have seen all that was published.
    async fn drain(&self) -> bool {
        let queues = || std::iter::once(&self.seen).chain(&self.narrow);
        let deadline = Instant::now() + PATIENCE;
        while !queues().all(Queue::is_over) {
            if Instant::now() > deadline {
                return false;
            }
            Queue::publish_last(&self.fixture.broker).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    async fn report(self, mut violations: Vec<String>) -> Report {
        let entries = self.ledger.write().clone();
        let rows = self
            .query("SELECT id, message_id, status, attempts, last_error FROM outbox_messages ORDER BY id")
            .await;
        let rows: HashMap<Uuid, Row> = rows
            .iter()
            .map(|row| {
                let attempts: i32 = row.try_get("", "attempts").unwrap();
                let found = Row {
                    id: row.try_get("", "id").unwrap(),
                    status: row.try_get("", "status").unwrap(),
                    attempts: attempts as usize,
                    last_error: row.try_get("", "last_error").unwrap(),
                };
                (row.try_get("", "message_id").unwrap(), found)
            })
            .collect();
        let epoch = self.number("SELECT epoch FROM outbox_publishers").await;
        let outcome = Outcome { plan: self.plan, entries: &entries, rows: &rows };
        outcome.check_rows(&mut violations);
        outcome.check_leaders(&mut violations);
        let mut duplicates = 0;
        for queue in std::iter::once(&self.seen).chain(&self.narrow) {
            duplicates += outcome.check_queue(queue.name(), &queue.seen(), &mut violations);
        }
        if self.real.is_some() {
            violations.extend(audit::violations(&self.fixture.database).await);
        }
        let mut history = String::new();
        for (at, what) in &entries.history {
            let _ = writeln!(history, "{:>7.3} {what}", at.as_secs_f64());
        }
        Report {
            seed: self.plan.seed,
            on: if self.real.is_some() { "real" } else { "embedded" },
            events: entries.committed.len(),
            faults: self.plan.faults(),
            duplicates,
            epochs: epoch,
            violations,
            plan: self.plan.to_string(),
            history,
        }
    }
}

/// `url` for a client that calls itself `name`.
fn named(url: &str, name: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}application_name={name}")
}

/// As a service does it, but for the first connection: the database may be away.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(5).acquire_timeout(Duration::from_secs(5)).connect_lazy(true).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}
