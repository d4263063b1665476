use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{future::maybe_done, poll};
use lapin::{
    Channel, Confirmation, ExchangeKind,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    protocol::AMQPSoftError,
    types::ShortString,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    RabbitMq, codec,
    link::{Cause, Link, short},
    topology,
    uri::Uri,
};
use crate::{Message, PublishError, Publisher, PublisherOptions, Verdict};

/// Publishes to RabbitMQ, on its own connection that is never recovered: it is closed on any doubt, such as a cancelled call, and the next window opens
/// a new one.
pub struct RabbitPublisher {
    uri: Uri,
    options: PublisherOptions,
    /// Taken out for each window, and put back only when every message of it has been answered.
    session: Option<Session>,
    /// A connection for the next session.
    warm: Option<Link>,
}

/// A connection that is ready to publish.
struct Session {
    channel: Channel,
    link: Link,
    exchange: ShortString,
    /// When all required queues were last found.
    complete: Option<Instant>,
}

/// How long a check of the required queues is valid.
const COMPLETE: Duration = Duration::from_secs(30);

impl RabbitPublisher {
    /// A publisher, not yet connected.
    pub fn new(rabbitmq: &RabbitMq, options: PublisherOptions) -> Self {
        let uri = rabbitmq.uri.clone();
        uri.warn();
        let uri = match options.heartbeat {
            Some(heartbeat) => uri.with_heartbeat(heartbeat),
            None => uri,
        };
        Self { uri, options, session: None, warm: None }
    }

    /// A session to publish in: the required queues exist.
    async fn session(&mut self, until: Instant) -> Result<Session, PublishError> {
        let mut session = self.open(until).await?;
        if !self.options.required_queues.is_empty() && !session.is_complete() {
            let missing = within(until, session.missing(&self.options.required_queues)).await?;
            if !missing.is_empty() {
                session.complete = None;
                // Nothing is in doubt, so the connection is kept for the next look.
                self.session = Some(session);
                return Err(PublishError::QueuesMissing(missing));
            }
            session.complete = Some(Instant::now());
        }
        Ok(session)
    }

    /// The last session, if it is still open, or a new one.
    async fn open(&mut self, until: Instant) -> Result<Session, PublishError> {
        if let Some(session) = self.session.take().filter(Session::is_open) {
            return Ok(session);
        }
        let warm = self.warm.take().filter(Link::is_open);
        let open = async {
            let link = match warm {
                Some(link) => link,
                None => connect(&self.uri, &self.options).await?,
            };
            Session::open(link, &self.options).await
        };
        within(until, open).await
    }

    async fn send(&mut self, window: &[&Message], deadline: Duration) -> Result<Vec<Verdict>, PublishError> {
        let until = Instant::now() + deadline;
        let mut session = self.session(until).await?;
        let Ok(answers) = tokio::time::timeout_at(until, session.publish(window)).await else {
            let timed_out = PublishError::TimedOut(deadline);
            return Err(session.link.blocked().map_or(timed_out, PublishError::Blocked));
        };
        let answers = answers?;
        self.session = Some(session);
        Ok(answers)
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(
        &mut self,
        window: &[Message],
        deadline: Duration,
    ) -> Result<Vec<Verdict>, PublishError> {
        let refusals: Vec<_> =
            window.iter().map(|message| message.refusal(self.options.max_payload)).collect();
        let sendable = window.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
        let sendable: Vec<&Message> = sendable.map(|(message, _)| message).collect();
        let answers = if sendable.is_empty() { Vec::new() } else { self.send(&sendable, deadline).await? };
        let mut answers = answers.into_iter();
        let verdicts = refusals.into_iter().map(|refusal| refusal.map(Verdict::Refused));
        Ok(verdicts.filter_map(|refused| refused.or_else(|| answers.next())).collect())
    }

    async fn warm_up(&mut self, deadline: Duration) -> Result<(), PublishError> {
        let connected = self.session.as_ref().is_some_and(Session::is_open)
            || self.warm.as_ref().is_some_and(Link::is_open);
        if !connected {
            self.warm = None;
            self.warm = Some(within(Instant::now() + deadline, connect(&self.uri, &self.options)).await?);
        }
        Ok(())
    }

    async fn ready(&mut self, deadline: Duration) -> Result<(), PublishError> {
        self.session = Some(self.session(Instant::now() + deadline).await?);
        Ok(())
    }

    async fn close(&mut self) {
        let session = self.session.take().map(|session| session.link);
        for link in session.into_iter().chain(self.warm.take()) {
            link.close().await;
        }
    }
}

async fn connect(uri: &Uri, options: &PublisherOptions) -> Result<Link, PublishError> {
    Link::open(uri, &options.name).await.map_err(|error| PublishError::Disconnected(error.to_string()))
}

/// Does `work` before `until`. Nothing has been sent yet, so a time-out here leaves no window with an unknown outcome.
async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, PublishError>>,
) -> Result<T, PublishError> {
    let late = || PublishError::Disconnected("no answer while connecting".to_owned());
    tokio::time::timeout_at(until, work).await.unwrap_or_else(|_| Err(late()))
}

impl fmt::Debug for RabbitPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitPublisher")
            .field("uri", &self.uri)
            .field("options", &self.options)
            .field("connected", &self.session.is_some())
            .finish()
    }
}

impl Session {
    async fn open(link: Link, options: &PublisherOptions) -> Result<Self, PublishError> {
        let channel = link.channel().await.map_err(|error| failed(&error))?;
        if let Some(name) = &options.fence {
            topology::fence(&channel, name).await.map_err(|error| match Cause::from(&error) {
                Cause::Channel(AMQPSoftError::RESOURCELOCKED, _) => PublishError::Fenced(name.clone()),
                _ => failed(&error),
            })?;
        }
        let exchange = Self::prepare(&channel, options).await.map_err(|error| failed(&error))?;
        Ok(Self { channel, link, exchange, complete: None })
    }

    async fn prepare(channel: &Channel, options: &PublisherOptions) -> lapin::Result<ShortString> {
        if options.declare_exchange {
            topology::exchange(channel, &options.exchange, ExchangeKind::Topic).await?;
        } else {
            topology::check_exchange(channel, &options.exchange).await?;
        }
        if let Some(log) = &options.event_log {
            topology::event_log(channel, &options.exchange, log).await?;
        }
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        short(&options.exchange)
    }

    fn is_open(&self) -> bool {
        self.link.is_open() && self.channel.status().connected()
    }

    fn is_complete(&self) -> bool {
        self.complete.is_some_and(|at| at.elapsed() < COMPLETE)
    }

    /// Those of `queues` that do not exist. Each is checked on a separate channel, which the broker closes if the queue does not exist.
    async fn missing(&self, queues: &[String]) -> Result<Vec<String>, PublishError> {
        let mut missing = Vec::new();
        for queue in queues {
            let channel = self.link.channel().await.map_err(|error| failed(&error))?;
            match topology::check_queue(&channel, queue).await {
                // An error means that it is closed already.
                Ok(()) => drop(channel.close(200, ShortString::default()).await),
                Err(error) => match Cause::from(&error) {
                    Cause::Channel(AMQPSoftError::NOTFOUND, _) => missing.push(queue.clone()),
                    _ => return Err(failed(&error)),
                },
            }
        }
        Ok(missing)
    }

    /// Sends the whole window, then waits for all of its confirms; the answers are in the window's order.
    async fn publish(&self, window: &[&Message]) -> Result<Vec<Verdict>, PublishError> {
        let mut confirmed = Vec::with_capacity(window.len());
        let mut returned = HashMap::new();
        for confirmation in self.confirmations(window).await? {
            if confirmation == Confirmation::NotRequested {
                return Err(PublishError::Disconnected("the channel does not confirm".to_owned()));
            }
            confirmed.push(confirmation.is_ack());
            // lapin hands a returned message to whichever confirm comes next, so it is matched by its own id.
            if let Some(message) = confirmation.take_message() {
                let (id, reason) = read_return(&message)?;
                returned.insert(id, reason);
            }
        }
        let ours: HashSet<Uuid> = window.iter().map(|message| message.id).collect();
        if !returned.keys().all(|id| ours.contains(id)) {
            return Err(PublishError::Disconnected(
                "a message came back that is not of this window".to_owned(),
            ));
        }
        let answer = |(message, confirmed): (&&Message, bool)| match returned.get(&message.id) {
            Some(reason) => Verdict::Returned(reason.clone()),
            None if confirmed => Verdict::Confirmed,
            None => Verdict::Nacked,
        };
        Ok(window.iter().zip(confirmed).map(answer).collect())
    }

    /// The broker's answer for each message. All are handed to lapin before any is waited for.
    async fn confirmations(&self, window: &[&Message]) -> Result<Vec<Confirmation>, PublishError> {
        let mut sending = Vec::with_capacity(window.len());
        for message in window {
            let mut sent = Box::pin(maybe_done(self.publish_one(message)));
            // The first poll numbers the message and queues its frames, so polling in turn is sending in order.
            let _ = poll!(&mut sent);
            sending.push(sent);
        }
        let mut confirmations = Vec::with_capacity(window.len());
        let mut failures = Vec::new();
        for mut sent in sending {
            sent.as_mut().await;
            match sent.as_mut().take_output() {
                Some(Ok(confirmation)) => confirmations.push(confirmation),
                Some(Err(error)) => failures.push(failed(&error)),
                None => failures.push(PublishError::Disconnected("a confirm went missing".to_owned())),
            }
        }
        // Once the broker has closed the channel, some messages fail with its reason, and others only because it is closed.
        let says_why = |failure: &PublishError| {
            matches!(failure, PublishError::ChannelClosed(_) | PublishError::ExchangeMissing(_))
        };
        let first = failures.iter().position(says_why).unwrap_or_default();
        match failures.into_iter().nth(first) {
            Some(failure) => Err(failure),
            None => Ok(confirmations),
        }
    }

    async fn publish_one(&self, message: &Message) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), message.routing_key.as_str().into());
        let properties = codec::properties(message);
        self.channel.basic_publish(exchange, key, options, &message.payload, properties).await?.await
    }
}

fn read_return(message: &BasicReturnMessage) -> Result<(Uuid, String), PublishError> {
    let nameless = || PublishError::Disconnected("a message came back without its id".to_owned());
    let id = codec::id(&message.properties).ok_or_else(nameless)?;
    Ok((id, message.reply_text.to_string()))
}

/// What an error on an open connection means for the window.
fn failed(error: &lapin::Error) -> PublishError {
    match Cause::from(error) {
        Cause::Channel(AMQPSoftError::NOTFOUND, text) => PublishError::ExchangeMissing(text),
        Cause::Channel(_, text) => PublishError::ChannelClosed(text),
        Cause::Connection(text) => PublishError::Disconnected(text),
    }
}
