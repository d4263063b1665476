//! Consumers: a handler says what an event changes, and this module does the rest.
//!
//! A [`Handler`] is a type with its event, its context (the fields of the type) and an effect, written in a transaction that it is given.
//! A [`Consumer`] has one queue and the handlers for its events. For each message it
//!
//! - begins a transaction, records the message in the [`inbox`](crate::inbox), lets the handler write its effect, appends the events that
//!   the handler announces, and commits. A message that was already handled is acknowledged without effect, so a crash at any
//!   moment only causes a second delivery;
//! - continues the trace of the message;
//! - cuts short a handler that takes too long, and treats a panic as a failure;
//! - retries with growing pauses, and sets aside messages that it cannot handle or read;
//! - keeps the order of each aggregate's messages, with one replica or several (`Subscription::ordered`, ADR 25);
//! - counts, and reports whether it makes [`Progress`].
//!
//! It also deletes old messages from the inbox.
//!
//! ```
//! use shop_messaging::{Broker, Failure, Subscription, in_process::InProcessBroker};
//! use shop_outbox::consumer::{Consumer, Effect, Handler, Options, Received};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct AccountRenamed {
//!     name: String,
//! }
//!
//! struct Greet {
//!     greeting: &'static str,
//! }
//!
//! impl Handler<sea_orm::DatabaseTransaction> for Greet {
//!     type Event = AccountRenamed;
//!     const EVENT_TYPE: &'static str = "account_renamed";
//!     const ROUTING_KEY: &'static str = "account.renamed";
//!
//!     async fn handle(
//!         &self,
//!         transaction: &mut sea_orm::DatabaseTransaction,
//!         event: Received<AccountRenamed>,
//!     ) -> Result<Effect, Failure> {
//!         // … `transaction` writes that the account is to be greeted by its new name …
//!         let _ = (transaction, self.greeting, event.payload.name);
//!         Ok(Effect::done())
//!     }
//! }
//!
//! # fn consumer(database: sea_orm::DatabaseConnection) -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::open("amqp://guest:guest@localhost", None)?;
//! let subscription = Subscription { ordered: true, ..Subscription::new("accounts", "greeter", ["account.*"]) };
//! let consumer = Consumer::new(broker, database, subscription, Options::default())
//!     .on(Greet { greeting: "Hello" })?;
//! let progress = consumer.progress();
//! # Ok(())
//! # }
//! ```

mod database;
mod handler;
mod metrics;
mod options;
mod progress;
mod retention;
mod room;
mod span;

use shop_messaging::{Broker, Subscription};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

pub use self::{
    database::Database,
    handler::{Effect, Handler, Misplaced, Received},
    metrics::ConsumerMetrics,
    options::{Options, Trace, Unknown},
    progress::{Progress, Stuck, Trouble},
};
use self::{handler::Handlers, room::Room};

/// A queue, the handlers for its events, and the database that they write to.
pub struct Consumer<D: Database> {
    broker: Broker,
    subscription: Subscription,
    handlers: Handlers<D::Transaction>,
    database: D,
    options: Options,
    metrics: ConsumerMetrics,
    progress: watch::Sender<Progress>,
}

impl<D: Database> Consumer<D> {
    /// Creates a consumer without handlers. It does nothing until [`Consumer::run`]. The queue's name is also its name in the inbox.
    pub fn new(broker: Broker, database: D, subscription: Subscription, options: Options) -> Self {
        let metrics = ConsumerMetrics::new(&subscription.queue);
        let progress = watch::Sender::new(Progress::begun(Instant::now()));
        Self { broker, subscription, handlers: Handlers::default(), database, options, metrics, progress }
    }

    /// Registers the handler of one type of event.
    ///
    /// # Errors
    /// There is already a handler for that event, or the subscription does not receive such events.
    pub fn on<H: Handler<D::Transaction>>(mut self, handler: H) -> Result<Self, Misplaced> {
        self.handlers.add(&self.subscription, handler)?;
        self.metrics.expect(H::EVENT_TYPE);
        Ok(self)
    }

    /// Counts in the same metrics as `other`, under the name of its own queue: for a process with several consumers, where only the
    /// metrics of one are registered. Call it before the consumer runs.
    #[must_use]
    pub fn counting_with(mut self, other: &ConsumerMetrics) -> Self {
        self.metrics = other.of_queue(&self.subscription.queue);
        self.handlers.event_types().for_each(|event_type| self.metrics.expect(event_type));
        self
    }

    /// The subscription that it consumes from.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Its metrics, for registration.
    pub fn metrics(&self) -> &ConsumerMetrics {
        &self.metrics
    }

    /// Reports the consumer's progress.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Consumes until `stop`; then it takes no more messages, lets handlers in progress finish, and returns. Nothing else ends it: it
    /// waits for a broker or a database that is away.
    ///
    /// Dropping the future is like a crash: the messages being handled are rolled back, and delivered again.
    pub async fn run(self, stop: CancellationToken) {
        let Self { broker, subscription, handlers, database, options, metrics, progress } = self;
        let retention = retention::keep(database.clone(), options.retention, metrics.clone());
        let room = Room::new(&subscription, handlers, database, options, metrics, progress);
        tokio::select! {
            never = retention => match never { },
            () = broker.consume(subscription, room, stop) => {}
        }
    }
}
