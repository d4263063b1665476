use lapin::{
    Channel, Confirmation,
    message::BasicGetMessage,
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
    // What dies again meanwhile joins the end, and is not replayed in a circle.
    let count = limit.min(bounded(session.count()).await?);
    let mut replayed = 0;
    while replayed < count && bounded(session.replay_one()).await? {
        replayed += 1;
    }
    session.link.close().await;
    Ok(replayed)
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
        let mut last = None;
        while letters.len() < limit
            && let Some(got) = self.get().await?
        {
            let got = got.delivery;
            let id = codec::id(&got.properties).unwrap_or(Uuid::nil());
            let reason = codec::death_reason(&got.properties);
            let message = codec::message(id, got.routing_key.as_str(), &got.properties, got.data);
            letters.push(DeadLetter { message, reason });
            last = Some(got.acker);
        }
        if let Some(last) = last {
            // All of them at once, so that they go back in their order.
            last.nack(BasicNackOptions { multiple: true, requeue: true }).await?;
        }
        Ok(letters)
    }

    /// Publishes the oldest dead letter to its queue and then forgets it here; `false` when there is none, or when the
    /// queue does not take it.
    async fn replay_one(&self) -> lapin::Result<bool> {
        let Some(got) = self.get().await? else { return Ok(false) };
        let got = got.delivery;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = codec::revived(&got.properties);
        let confirm = self
            .channel
            .basic_publish(self.replay.clone(), got.routing_key, options, &got.data, properties)
            .await?
            .await?;
        let taken = matches!(confirm, Confirmation::Ack(None));
        if taken {
            got.acker.ack(BasicAckOptions::default()).await?;
        } else {
            got.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        }
        Ok(taken)
    }
}
