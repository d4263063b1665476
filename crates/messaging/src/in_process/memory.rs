//! Exchanges and queues in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    consumer::{self, Queues},
    fences::{Fence, Fences},
};
use crate::{
    BrokerError, DeadLetter, Delivery, EventLog, Handler, Message, PublishError, Publisher, PublisherOptions,
    Subscription, Verdict, backend::Backend, handling::Settlement, topic,
};

/// Exchanges and queues in memory. Clones share them.
#[derive(Clone, Default)]
pub struct InProcessBroker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    exchanges: HashMap<String, Exchange>,
    queues: HashMap<String, Queue>,
    logs: HashMap<String, VecDeque<Message>>,
    fences: Fences,
    /// The active consumers, by queue.
    active: Fences,
}

#[derive(Default)]
struct Exchange {
    bindings: HashSet<Binding>,
    logs: HashSet<String>,
}

#[derive(PartialEq, Eq, Hash)]
struct Binding {
    pattern: String,
    queue: String,
}

struct Queue {
    ready: VecDeque<Queued>,
    /// How many are being handled.
    taken: usize,
    dead: VecDeque<DeadLetter>,
    /// The place of the next message.
    next: u64,
    max_length: usize,
    delivery_limit: u32,
    arrived: Arc<Notify>,
}

struct Queued {
    message: Message,
    /// The place in the queue, which it keeps while it is taken.
    place: u64,
    /// How many times it was delivered.
    deliveries: u32,
}

impl Queue {
    fn new(subscription: &Subscription) -> Self {
        Self {
            ready: VecDeque::new(),
            taken: 0,
            dead: VecDeque::new(),
            next: 0,
            max_length: subscription.max_length as usize,
            delivery_limit: subscription.delivery_limit,
            arrived: Arc::default(),
        }
    }

    /// Dead letters count too, so that their number is limited although none is dropped.
    fn is_full(&self) -> bool {
        self.ready.len() + self.taken + self.dead.len() >= self.max_length
    }

    fn push(&mut self, message: Message) {
        self.ready.push_back(Queued { message, place: self.next, deliveries: 0 });
        self.next += 1;
        self.arrived.notify_one();
    }

    fn take_dead(&mut self, id: Uuid) -> Option<DeadLetter> {
        let index = self.dead.iter().position(|dead| dead.message.id == id)?;
        self.dead.remove(index)
    }

    fn settle(&mut self, queued: Queued, settlement: Settlement) {
        self.taken -= 1;
        let reason = match settlement {
            Settlement::Done => return,
            Settlement::Again if queued.deliveries < self.delivery_limit => {
                let before = self.ready.partition_point(|other| other.place < queued.place);
                self.ready.insert(before, queued);
                self.arrived.notify_one();
                return;
            }
            Settlement::Again => "delivery_limit",
            Settlement::Dead => "rejected",
        };
        self.dead.push_back(DeadLetter { message: queued.message, reason: reason.to_owned() });
    }
}

impl State {
    fn declare_exchange(&mut self, name: &str) -> &mut Exchange {
        self.exchanges.entry(name.to_owned()).or_default()
    }

    fn publish(&mut self, exchange: &str, message: &Message) -> Result<Verdict, PublishError> {
        let Some(exchange) = self.exchanges.get(exchange) else {
            return Err(PublishError::ExchangeMissing(format!("NOT_FOUND - no exchange '{exchange}'")));
        };
        for log in &exchange.logs {
            let log = self.logs.entry(log.clone()).or_default();
            log.truncate(EventLog::EMBEDDED_LENGTH - 1);
            log.push_front(message.clone());
        }
        let bindings = exchange.bindings.iter();
        let queues: HashSet<&str> = bindings
            .filter(|binding| topic::matches(&binding.pattern, &message.routing_key))
            .map(|binding| binding.queue.as_str())
            .collect();
        if queues.is_empty() && exchange.logs.is_empty() {
            return Ok(Verdict::Returned("NO_ROUTE".to_owned()));
        }
        let mut verdict = Verdict::Confirmed;
        for queue in queues {
            match self.queues.get_mut(queue) {
                Some(queue) if !queue.is_full() => queue.push(message.clone()),
                _ => verdict = Verdict::Nacked,
            }
        }
        Ok(verdict)
    }

    fn queue(&mut self, name: &str) -> Result<&mut Queue, BrokerError> {
        let missing = || BrokerError::Refused(format!("NOT_FOUND - no queue '{name}'"));
        self.queues.get_mut(name).ok_or_else(missing)
    }
}

impl InProcessBroker {
    /// The messages in an event log, the newest first.
    pub fn event_log(&self, name: &str) -> Vec<Message> {
        self.state().logs.get(name).map(|log| log.iter().cloned().collect()).unwrap_or_default()
    }

    /// A panic while the lock was held cannot have left half a change: no step under it can panic between two.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is notified when a message has arrived in the queue.
    fn make(&self, subscription: &Subscription) -> Arc<Notify> {
        let mut state = self.state();
        let exchange = state.declare_exchange(&subscription.exchange);
        for pattern in &subscription.patterns {
            let binding = Binding { pattern: pattern.clone(), queue: subscription.queue.clone() };
            exchange.bindings.insert(binding);
        }
        let queue =
            state.queues.entry(subscription.queue.clone()).or_insert_with(|| Queue::new(subscription));
        Arc::clone(&queue.arrived)
    }

    fn take(&self, name: &str) -> Option<(Delivery, Taken)> {
        let mut state = self.state();
        let queue = state.queues.get_mut(name)?;
        let mut queued = queue.ready.pop_front()?;
        queued.deliveries += 1;
        queue.taken += 1;
        if !queue.ready.is_empty() {
            // Several arrivals may have woken one consumer only.
            queue.arrived.notify_one();
        }
        let delivery = Delivery { message: queued.message.clone(), attempt: queued.deliveries };
        let settlement = Settlement::Again;
        Some((
            delivery,
            Taken { broker: self.clone(), queue: name.to_owned(), queued: Some(queued), settlement },
        ))
    }
}

#[async_trait]
impl Queues for InProcessBroker {
    type Taken = Taken;

    fn activate(&self, queue: &str) -> Option<Fence> {
        self.state().active.take(queue)
    }

    async fn turn(
        &self,
        queue: &str,
        settled: Vec<(Taken, Settlement)>,
        room: usize,
    ) -> Result<Vec<(Delivery, Taken)>, BrokerError> {
        for (taken, settlement) in settled {
            taken.settle(settlement);
        }
        Ok(std::iter::from_fn(|| self.take(queue)).take(room).collect())
    }
}

#[async_trait]
impl Backend for InProcessBroker {
    fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher> {
        Box::new(InProcessPublisher::new(self, options))
    }

    async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError> {
        self.make(subscription);
        Ok(())
    }

    async fn consume(&self, subscription: &Subscription, handler: &dyn Handler, stop: &CancellationToken) {
        let arrived = self.make(subscription);
        consumer::consume(self, &arrived, subscription, handler, stop).await;
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        Ok(self.state().queue(queue)?.dead.iter().take(limit).cloned().collect())
    }

    async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError> {
        let mut state = self.state();
        let queue = state.queue(queue)?;
        let replayed = limit.min(queue.dead.len());
        for _ in 0..replayed {
            if let Some(dead) = queue.dead.pop_front() {
                queue.push(dead.message);
            }
        }
        Ok(replayed)
    }

    async fn dead_letter(&self, queue: &str, id: Uuid) -> Result<Option<DeadLetter>, BrokerError> {
        Ok(self.state().queue(queue)?.dead.iter().find(|dead| dead.message.id == id).cloned())
    }

    async fn replay_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        let mut state = self.state();
        let queue = state.queue(queue)?;
        let dead = queue.take_dead(id);
        Ok(dead.map(|dead| queue.push(dead.message)).is_some())
    }

    async fn discard_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        Ok(self.state().queue(queue)?.take_dead(id).is_some())
    }
}

impl fmt::Display for InProcessBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

impl fmt::Debug for InProcessBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessBroker").finish_non_exhaustive()
    }
}

/// A message being handled. It is settled when this is dropped: for another delivery, if the consumer died.
pub(super) struct Taken {
    broker: InProcessBroker,
    queue: String,
    queued: Option<Queued>,
    settlement: Settlement,
}

impl Taken {
    fn settle(mut self, settlement: Settlement) {
        self.settlement = settlement;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(queued) = self.queued.take()
            && let Some(queue) = self.broker.state().queues.get_mut(&self.queue)
        {
            queue.settle(queued, self.settlement);
        }
    }
}

/// Publishes to an [`InProcessBroker`].
#[derive(Debug)]
pub struct InProcessPublisher {
    broker: InProcessBroker,
    options: PublisherOptions,
    connected: Option<Connected>,
}

/// Connected, and holding the fence if one is required.
#[derive(Debug)]
struct Connected(#[expect(dead_code, reason = "held, not read")] Option<Fence>);

impl InProcessPublisher {
    /// A publisher, not yet connected.
    pub fn new(broker: &InProcessBroker, options: PublisherOptions) -> Self {
        Self { broker: broker.clone(), options, connected: None }
    }

    fn connect(&mut self) -> Result<(), PublishError> {
        if self.connected.is_some() {
            return Ok(());
        }
        let PublisherOptions { exchange, declare_exchange, event_log, fence, .. } = &self.options;
        let mut state = self.broker.state();
        let fence = match fence {
            Some(name) => {
                let fence = state.fences.take(name);
                Some(fence.ok_or_else(|| PublishError::Fenced(name.clone()))?)
            }
            None => None,
        };
        if *declare_exchange {
            state.declare_exchange(exchange);
        }
        let Some(exchange) = state.exchanges.get_mut(exchange) else {
            return Err(PublishError::ExchangeMissing(format!("NOT_FOUND - no exchange '{exchange}'")));
        };
        exchange.logs.extend(event_log.iter().map(|log| log.name.clone()));
        let required = self.options.required_queues.iter();
        let missing: Vec<_> = required.filter(|name| !state.queues.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Err(PublishError::QueuesMissing(missing));
        }
        self.connected = Some(Connected(fence));
        Ok(())
    }
}

#[async_trait]
impl Publisher for InProcessPublisher {
    async fn publish(
        &mut self,
        window: &[Message],
        _deadline: Duration,
    ) -> Result<Vec<Verdict>, PublishError> {
        self.connect()?;
        let mut state = self.broker.state();
        let verdicts = window.iter().map(|message| match message.refusal(self.options.max_payload) {
            Some(reason) => Ok(Verdict::Refused(reason)),
            None => state.publish(&self.options.exchange, message),
        });
        verdicts.collect()
    }

    async fn ready(&mut self, _deadline: Duration) -> Result<(), PublishError> {
        self.connect()
    }

    async fn close(&mut self) {
        self.connected = None;
    }
}
