use lapin::{
    Acker, Channel, Confirmation,
    message::{BasicGetMessage, Delivery},
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};
use uuid::Uuid;

use super::{
    RabbitMq, bounded, codec,
    link::{Link, short},
    topology,
};
use crate::{BrokerError, DeadLetter};

pub(super) async fn look(
    rabbitmq: &RabbitMq,
    queue: &str,
    limit: usize,
) -> Result<Vec<DeadLetter>, BrokerError> {
    let session = Session::open(rabbitmq, queue).await?;
    let letters = bounded(session.peek(limit)).await?;
    session.link.close().await;
    Ok(letters)
}

pub(super) async fn replay(rabbitmq: &RabbitMq, queue: &str, limit: usize) -> Result<usize, BrokerError> {
    let session = Session::open(rabbitmq, queue).await?;
    // What fails again meanwhile joins the end of the queue, and is not replayed again and again.
    let count = limit.min(bounded(session.count()).await?);
    let mut replayed = 0;
    while replayed < count && bounded(session.replay_oldest()).await? {
        replayed += 1;
    }
    session.link.close().await;
    Ok(replayed)
}

pub(super) async fn show(
    rabbitmq: &RabbitMq,
    queue: &str,
    id: Uuid,
) -> Result<Option<DeadLetter>, BrokerError> {
    let session = Session::open(rabbitmq, queue).await?;
    let mut searched = session.search(id).await?;
    let letter = searched.found.as_ref().map(letter);
    if let Some(found) = searched.found.take() {
        searched.passed = Some(found.acker);
    }
    bounded(searched.put_back()).await?;
    session.link.close().await;
    Ok(letter)
}

pub(super) async fn replay_one(rabbitmq: &RabbitMq, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
    let session = Session::open(rabbitmq, queue).await?;
    let searched = session.search(id).await?;
    let replayed = match &searched.found {
        Some(found) => bounded(session.replay(found)).await?,
        None => false,
    };
    bounded(searched.put_back()).await?;
    session.link.close().await;
    Ok(replayed)
}

pub(super) async fn discard_one(rabbitmq: &RabbitMq, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
    let session = Session::open(rabbitmq, queue).await?;
    let searched = session.search(id).await?;
    if let Some(found) = &searched.found {
        bounded(found.acker.ack(BasicAckOptions::default())).await?;
    }
    bounded(searched.put_back()).await?;
    session.link.close().await;
    Ok(searched.found.is_some())
}

/// What a search of the dead letters came upon. The session holds all of it.
struct Searched {
    found: Option<Delivery>,
    /// The last of those before it.
    passed: Option<Acker>,
}

impl Searched {
    /// Puts back what was passed, all at once, so that it goes back in its order. What was settled stays settled.
    async fn put_back(&self) -> lapin::Result<()> {
        if let Some(last) = &self.passed {
            last.nack(BasicNackOptions { multiple: true, requeue: true }).await?;
        }
        Ok(())
    }
}

struct Session {
    channel: Channel,
    dead: ShortString,
    replay: ShortString,
    link: Link,
}

impl Session {
    async fn open(rabbitmq: &RabbitMq, queue: &str) -> Result<Self, BrokerError> {
        let open = async {
            let (dead, replay) = (short(&topology::dead(queue))?, short(&topology::replay(queue))?);
            let link = Link::open(&rabbitmq.uri, "dead letters").await?;
            let channel = link.channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { channel, dead, replay, link })
        };
        bounded(open).await
    }

    async fn count(&self) -> lapin::Result<usize> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(self.dead.clone(), options, FieldTable::default()).await?;
        Ok(queue.message_count() as usize)
    }

    async fn get(&self) -> lapin::Result<Option<BasicGetMessage>> {
        self.channel.basic_get(self.dead.clone(), BasicGetOptions::default()).await
    }

    async fn peek(&self, limit: usize) -> lapin::Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        let mut passed = None;
        while letters.len() < limit
            && let Some(got) = self.get().await?
        {
            letters.push(letter(&got.delivery));
            passed = Some(got.delivery.acker);
        }
        Searched { found: None, passed }.put_back().await?;
        Ok(letters)
    }

    /// Looks for the dead letter with `id`, among those that there are now.
    async fn search(&self, id: Uuid) -> Result<Searched, BrokerError> {
        let mut passed = None;
        // To the end: what is held by this session does not come again, and the count of a queue may be late.
        while let Some(got) = bounded(self.get()).await? {
            let got = got.delivery;
            if id_of(&got) == id {
                return Ok(Searched { found: Some(got), passed });
            }
            passed = Some(got.acker);
        }
        Ok(Searched { found: None, passed })
    }

    /// Publishes the oldest dead letter to its queue and then removes it here; `false` when there is none, or when the queue does
    /// not take it.
    async fn replay_oldest(&self) -> lapin::Result<bool> {
        match self.get().await? {
            Some(got) => self.replay(&got.delivery).await,
            None => Ok(false),
        }
    }

    /// Publishes a dead letter to its queue and then forgets it here; `false` when the queue does not take it.
    async fn replay(&self, letter: &Delivery) -> lapin::Result<bool> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (key, properties) = (letter.routing_key.clone(), codec::revived(&letter.properties));
        let publishing =
            self.channel.basic_publish(self.replay.clone(), key, options, &letter.data, properties);
        let taken = matches!(publishing.await?.await?, Confirmation::Ack(None));
        if taken {
            letter.acker.ack(BasicAckOptions::default()).await?;
        } else {
            letter.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        }
        Ok(taken)
    }
}

/// Nil for a message that came without an id.
fn id_of(got: &Delivery) -> Uuid {
    codec::id(&got.properties).unwrap_or(Uuid::nil())
}

fn letter(got: &Delivery) -> DeadLetter {
    let message = codec::message(id_of(got), got.routing_key.as_str(), &got.properties, got.data.clone());
    DeadLetter { message, reason: codec::death_reason(&got.properties) }
}
