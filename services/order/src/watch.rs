//! Who watches which order on this replica.
//!
//! An order may be changed by any replica, so the database is asked: one task asks about all watched orders at once, a few times a
//! second, and only while somebody watches.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use sea_orm::DbErr;
use shop_core::OrderId;
use shop_runtime::{Lifecycle, Periodically};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Life, Timeline},
    store::Store,
};

/// How often the database is asked.
const PAUSE: Duration = Duration::from_millis(200);

/// How many may watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// On this replica.
    pub total: usize,
    /// The same order.
    pub per_order: usize,
}

impl Bounds {
    /// 1000 watchers, of which 20 watch the same order. A connection that its client has left counts until the next heartbeats
    /// find out.
    pub(crate) const DEFAULT: Self = Self { total: 1000, per_order: 20 };
}

/// More watchers than this replica has places for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoPlace {
    #[error("This order is being watched by too many already.")]
    OfOrder,
    #[error("Too many orders are being watched at once.")]
    OfReplica,
}

/// The watched orders. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    table: Mutex<Table>,
    somebody_came: Notify,
    watchers: Gauge,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    orders: HashMap<OrderId, Watched>,
    /// How many watch, of all orders.
    watchers: usize,
}

#[derive(Debug)]
struct Watched {
    timeline: watch::Sender<Arc<Timeline>>,
    watchers: usize,
}

/// A watcher of one order. Its place is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    watch: Watch,
    id: OrderId,
    news: watch::Receiver<Arc<Timeline>>,
}

impl Watch {
    /// Watches orders in `store`, within `bounds`, until the service stops; `watchers` tells how many there are.
    pub(crate) fn run(bounds: Bounds, watchers: Gauge, store: Store, lifecycle: &Lifecycle) -> Self {
        let shared = Shared {
            bounds,
            table: Mutex::default(),
            somebody_came: Notify::new(),
            watchers,
            stopping: lifecycle.stopping(),
        };
        let this = Self(Arc::new(shared));
        let watcher = this.clone();
        lifecycle.spawn("order watch", async move {
            let stopping = watcher.0.stopping.clone();
            stopping.run_until_cancelled(watcher.look_on(&store)).await;
            Ok(())
        });
        this
    }

    /// Watches the order of `life`, from its timeline on.
    pub(crate) fn begin(&self, life: &Life) -> Result<Watching, NoPlace> {
        let id = life.order.id;
        let news = self.table().admit(id, &life.timeline, self.0.bounds)?;
        self.0.watchers.inc();
        self.0.somebody_came.notify_one();
        Ok(Watching { watch: self.clone(), id, news })
    }

    async fn look_on(&self, store: &Store) {
        static FAILING: Periodically = Periodically::line();
        loop {
            if self.table().orders.is_empty() {
                self.0.somebody_came.notified().await;
            }
            if let Err(error) = self.look(store).await
                && let Some(count) = FAILING.due()
            {
                tracing::warn!(%error, count, "watched orders could not be looked at");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells the watchers of all orders whose timelines have grown.
    async fn look(&self, store: &Store) -> Result<(), DbErr> {
        let known: HashMap<OrderId, i16> = {
            let table = self.table();
            table.orders.iter().map(|(id, watched)| (*id, watched.timeline.borrow().last_seq())).collect()
        };
        let ids: Vec<_> = known.keys().copied().collect();
        let last = store.last_entries(&ids).await?;
        let grown: Vec<_> =
            last.into_iter().filter(|(id, seq)| known.get(id) < Some(seq)).map(|(id, _)| id).collect();
        if grown.is_empty() {
            return Ok(());
        }
        let timelines = store.timelines(&grown).await?;
        let table = self.table();
        for (id, timeline) in timelines {
            if let Some(watched) = table.orders.get(&id) {
                watched.timeline.send_replace(Arc::new(timeline));
            }
        }
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn admit(
        &mut self,
        id: OrderId,
        timeline: &Timeline,
        bounds: Bounds,
    ) -> Result<watch::Receiver<Arc<Timeline>>, NoPlace> {
        if self.watchers >= bounds.total {
            return Err(NoPlace::OfReplica);
        }
        let watched = self.orders.entry(id).or_insert_with(|| Watched {
            timeline: watch::Sender::new(Arc::new(timeline.clone())),
            watchers: 0,
        });
        if watched.watchers >= bounds.per_order {
            return Err(NoPlace::OfOrder);
        }
        watched.watchers += 1;
        self.watchers += 1;
        Ok(watched.timeline.subscribe())
    }

    fn leave(&mut self, id: OrderId) {
        if let Entry::Occupied(mut entry) = self.orders.entry(id) {
            self.watchers -= 1;
            entry.get_mut().watchers -= 1;
            if entry.get().watchers == 0 {
                entry.remove();
            }
        }
    }
}

impl Watching {
    /// Waits until the timeline is longer than `known`. `None` when the service stops.
    pub(crate) async fn beyond(&mut self, known: i16) -> Option<Arc<Timeline>> {
        let stopping = self.watch.0.stopping.clone();
        let grown = self.news.wait_for(|timeline| timeline.last_seq() > known);
        let grown = stopping.run_until_cancelled(grown).await?;
        Some(Arc::clone(&*grown.ok()?))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watch.table().leave(self.id);
        self.watch.0.watchers.dec();
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    const BOUNDS: Bounds = Bounds { total: 5, per_order: 2 };

    #[test]
    fn there_are_places_for_some_and_fewer_for_one_order() {
        let mut table = Table::default();
        let timeline = Timeline::new(DateTime::UNIX_EPOCH, []);
        let order = |number| OrderId(Uuid::from_u128(number));
        let come = |table: &mut Table, number| table.admit(order(number), &timeline, BOUNDS).map(drop);
        assert_eq!([(); 2].map(|()| come(&mut table, 1)), [Ok(()); 2]);
        assert_eq!(come(&mut table, 1), Err(NoPlace::OfOrder));
        assert_eq!([2, 2, 3].map(|number| come(&mut table, number)), [Ok(()); 3]);
        assert_eq!(come(&mut table, 4), Err(NoPlace::OfReplica));
        table.leave(order(3));
        assert_eq!(come(&mut table, 4), Ok(()));
        for number in [1, 1, 2, 2, 4] {
            table.leave(order(number));
        }
        assert_eq!((table.watchers, table.orders.len()), (0, 0), "nothing is left behind");
    }
}
