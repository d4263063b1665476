use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::{
        consumer::{self, Queues},
        fences::Fence,
    },
    file::File,
    publisher::SqlitePublisher,
    queue::{self, Queued},
};
use crate::{
    BrokerError, DeadLetter, Delivery, Handler, Publisher, PublisherOptions, Subscription, backend::Backend,
    backoff, handling::Settlement,
};

/// Exchanges and queues in a file. Clones share it.
#[derive(Clone)]
pub struct SqliteBroker(Arc<File>);

impl SqliteBroker {
    /// Opens the bus in the file `path`, which is created if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened: another process uses it, it is from a newer release, or it is not such a file.
    pub async fn open(path: &Path) -> Result<Self, BrokerError> {
        let file = File::open(path).await.map_err(|error| failed(path, &error))?;
        Ok(Self(Arc::new(file)))
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> BrokerError {
        |error| failed(self.0.path(), &error)
    }

    async fn make(&self, subscription: &Subscription) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        queue::declare(&mut transaction, subscription).await?;
        transaction.commit().await
    }

    /// In one transaction, settles what was handled and takes the next messages.
    async fn settle_and_take(
        &self,
        name: &str,
        settled: Vec<(Taken, Settlement)>,
        room: usize,
    ) -> Result<Option<Vec<(Delivery, Taken)>>, sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        let Some(limit) = queue::delivery_limit(&mut transaction, name).await? else { return Ok(None) };
        let mut wake = false;
        for (taken, settlement) in settled {
            settle(&mut transaction, &taken, settlement, limit).await?;
            wake |= settlement == Settlement::Again;
            taken.let_go();
        }
        let mut next = Vec::new();
        if room > 0 {
            (next, wake) = self.take(&mut transaction, name, room, limit).await?;
        }
        transaction.commit().await?;
        if wake {
            self.0.wake(name);
        }
        Ok(Some(next))
    }

    /// Takes the next messages; `true` if there is more to take.
    async fn take(
        &self,
        db: &mut SqliteConnection,
        name: &str,
        room: usize,
        limit: u32,
    ) -> Result<(Vec<(Delivery, Taken)>, bool), sqlx::Error> {
        let taken = self.0.memory().taken.clone();
        let mut ready = queue::ready(db, name, &taken, room + 1).await?;
        let more = ready.len() > room;
        ready.truncate(room);
        // The process was killed during their last allowed delivery.
        let (worn, ready): (Vec<Queued>, Vec<Queued>) =
            ready.into_iter().partition(|queued| queued.deliveries >= limit);
        for queued in &worn {
            queue::bury(db, queued.id, "delivery_limit").await?;
        }
        let next: Vec<_> = ready.into_iter().map(|queued| self.deliver(name, queued)).collect();
        queue::count_deliveries(db, next.iter().map(|(_, taken)| taken.id)).await?;
        Ok((next, more || !worn.is_empty()))
    }

    /// Applies an action to the oldest dead letter with this message id, and returns it.
    async fn with_dead_letter(
        &self,
        queue: &str,
        id: Uuid,
        fate: Fate,
    ) -> Result<Option<DeadLetter>, BrokerError> {
        let work = async {
            let mut transaction = self.0.begin().await?;
            if queue::delivery_limit(&mut transaction, queue).await?.is_none() {
                return Ok(None);
            }
            let Some((row, letter)) = queue::dead_letter(&mut transaction, queue, id).await? else {
                return Ok(Some(None));
            };
            match fate {
                Fate::Stay => {}
                Fate::Revive => queue::revive(&mut transaction, row).await?,
                Fate::Remove => queue::remove(&mut transaction, row).await?,
            }
            transaction.commit().await?;
            Ok(Some(Some(letter)))
        };
        work.await.map_err(self.failed())?.ok_or_else(|| no_queue(queue))
    }

    fn deliver(&self, queue: &str, queued: Queued) -> (Delivery, Taken) {
        let Queued { id, deliveries, message } = queued;
        let attempt = deliveries.saturating_add(1);
        self.0.memory().taken.insert(id);
        let (file, queue) = (self.0.clone(), queue.to_owned());
        (Delivery { message, attempt }, Taken { file, queue, id, attempt, is_settled: false })
    }
}

/// The action on a dead letter.
#[derive(Clone, Copy)]
enum Fate {
    Stay,
    Revive,
    Remove,
}

async fn settle(
    db: &mut SqliteConnection,
    taken: &Taken,
    settlement: Settlement,
    limit: u32,
) -> Result<(), sqlx::Error> {
    match settlement {
        Settlement::Done => queue::remove(db, taken.id).await,
        Settlement::Again if taken.attempt < limit => Ok(()),
        Settlement::Again => queue::bury(db, taken.id, "delivery_limit").await,
        Settlement::Dead => queue::bury(db, taken.id, "rejected").await,
    }
}

/// A message being handled. If it is dropped without being settled, it is delivered again.
pub(in super::super) struct Taken {
    file: Arc<File>,
    queue: String,
    id: i64,
    attempt: u32,
    is_settled: bool,
}

impl Taken {
    fn let_go(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.file.memory().taken.remove(&self.id);
        if !self.is_settled {
            self.file.wake(&self.queue);
        }
    }
}

#[async_trait]
impl Queues for SqliteBroker {
    type Taken = Taken;

    fn activate(&self, queue: &str) -> Option<Fence> {
        self.0.memory().active.take(queue)
    }

    async fn turn(
        &self,
        queue: &str,
        settled: Vec<(Taken, Settlement)>,
        room: usize,
    ) -> Result<Vec<(Delivery, Taken)>, BrokerError> {
        let turn = self.settle_and_take(queue, settled, room).await.map_err(self.failed())?;
        turn.ok_or_else(|| no_queue(queue))
    }
}

#[async_trait]
impl Backend for SqliteBroker {
    fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher> {
        Box::new(SqlitePublisher::new(self.0.clone(), options))
    }

    async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError> {
        self.make(subscription).await.map_err(self.failed())
    }

    async fn consume(&self, subscription: &Subscription, handler: &dyn Handler, stop: &CancellationToken) {
        let mut failures = 0;
        while let Err(error) = self.make(subscription).await {
            failures += 1;
            handler.not_consuming(&error.to_string());
            let pause = backoff::after(failures);
            tracing::warn!(bus = %self, queue = subscription.queue, %error, ?pause, "not consuming");
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
        let arrived = self.0.memory().arrived(&subscription.queue);
        consumer::consume(self, &arrived, subscription, handler, stop).await;
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let look = async {
            let mut transaction = self.0.begin().await?;
            if queue::delivery_limit(&mut transaction, queue).await?.is_none() {
                return Ok(None);
            }
            queue::dead(&mut transaction, queue, limit).await.map(Some)
        };
        let letters = look.await.map_err(self.failed())?.ok_or_else(|| no_queue(queue))?;
        Ok(letters.into_iter().map(|(_, letter)| letter).collect())
    }

    async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError> {
        let replay = async {
            let mut transaction = self.0.begin().await?;
            if queue::delivery_limit(&mut transaction, queue).await?.is_none() {
                return Ok(None);
            }
            let letters = queue::dead(&mut transaction, queue, limit).await?;
            for (id, _) in &letters {
                queue::revive(&mut transaction, *id).await?;
            }
            transaction.commit().await?;
            Ok(Some(letters.len()))
        };
        let replayed = replay.await.map_err(self.failed())?.ok_or_else(|| no_queue(queue))?;
        self.0.wake(queue);
        Ok(replayed)
    }

    async fn dead_letter(&self, queue: &str, id: Uuid) -> Result<Option<DeadLetter>, BrokerError> {
        self.with_dead_letter(queue, id, Fate::Stay).await
    }

    async fn replay_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        let replayed = self.with_dead_letter(queue, id, Fate::Revive).await?.is_some();
        self.0.wake(queue);
        Ok(replayed)
    }

    async fn discard_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        Ok(self.with_dead_letter(queue, id, Fate::Remove).await?.is_some())
    }
}

impl fmt::Display for SqliteBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.path().display())
    }
}

impl fmt::Debug for SqliteBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteBroker({self})")
    }
}

fn failed(path: &Path, error: &sqlx::Error) -> BrokerError {
    BrokerError::Disconnected(format!("{}: {error}", path.display()))
}

fn no_queue(name: &str) -> BrokerError {
    BrokerError::Refused(format!("NOT_FOUND - no queue '{name}'"))
}
