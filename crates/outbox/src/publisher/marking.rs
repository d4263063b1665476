//! A mark on its way to the database, while the publisher goes on: its commit waits for a disk, and a row that commits
//! meanwhile need not.

use std::{future::poll_fn, pin::Pin, pin::pin, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, MaybeDone, maybe_done},
};
use sea_orm::DbErr;

use crate::{
    Store,
    fence::Lease,
    store::{Fence, Marks},
};

/// What was to be marked, and what came of it.
type Outcome = (Marks, Result<Fence, DbErr>);

/// The mark on its way, if there is one. It makes progress only [`beside`](Marking::beside) something else, or when it
/// is waited for.
#[derive(Default)]
pub(super) struct Marking(Option<Running>);

struct Running {
    sent: Vec<i64>,
    outcome: MaybeDone<BoxFuture<'static, Outcome>>,
}

impl Marking {
    /// Begins to mark; the one before must have ended.
    pub(super) fn start(&mut self, store: Store, lease: Lease, marks: Marks) {
        let sent = marks.sent.clone();
        let marking = async move {
            let outcome = store.mark(&lease, &marks).await;
            (marks, outcome)
        };
        self.0 = Some(Running { sent, outcome: maybe_done(marking.boxed()) });
    }

    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it has ended, and its outcome waits to be taken.
    pub(super) fn has_ended(&self) -> bool {
        self.0.as_ref().is_some_and(|running| matches!(running.outcome, MaybeDone::Done(_)))
    }

    /// The rows that it marks as sent.
    pub(super) fn sent(&self) -> &[i64] {
        self.0.as_ref().map_or(&[], |running| &running.sent)
    }

    /// Does `work`, and goes on with the mark meanwhile.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Some(running) = &mut self.0 {
                let _ = Pin::new(&mut running.outcome).poll(context);
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Waits until it has ended; for ever, if there is none.
    pub(super) async fn ended(&mut self) {
        poll_fn(|context| match &mut self.0 {
            Some(running) => Pin::new(&mut running.outcome).poll(context),
            None => Poll::Pending,
        })
        .await;
    }

    /// Waits until it has ended, and takes what came of it; `None`, if there is none.
    pub(super) async fn outcome(&mut self) -> Option<Outcome> {
        let mut running = self.0.take()?;
        (&mut Pin::new(&mut running.outcome)).await;
        Pin::new(&mut running.outcome).take_output()
    }
}
