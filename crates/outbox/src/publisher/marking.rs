//! A mark on its way to the database, while the publisher goes on: its commit waits for a disk, and a row that commits
//! meanwhile need not.

use std::{future::poll_fn, pin::Pin, pin::pin, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, MaybeDone, maybe_done},
};

use crate::{
    Store, StoreError,
    fence::Lease,
    store::{Fence, Marks},
};

type Outcome = Result<Fence, StoreError>;

/// The mark on its way, if there is one. It makes progress only [`beside`](Marking::beside) something else, or when it
/// is waited for.
#[derive(Default)]
pub(super) struct Marking(Option<MaybeDone<BoxFuture<'static, Outcome>>>);

impl Marking {
    /// Begins to mark; the one before must have ended.
    pub(super) fn begin(&mut self, store: Store, lease: Lease, marks: Marks) {
        self.0 = Some(maybe_done(async move { store.mark(&lease, &marks).await }.boxed()));
    }

    /// Does `work`, and goes on with the mark meanwhile.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Some(running) = &mut self.0 {
                let _ = Pin::new(running).poll(context);
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Waits until it has ended; for ever, if there is none.
    pub(super) async fn ended(&mut self) {
        poll_fn(|context| match &mut self.0 {
            Some(running) => Pin::new(running).poll(context),
            None => Poll::Pending,
        })
        .await;
    }

    /// Takes what came of it, if it has ended.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let outcome = Pin::new(self.0.as_mut()?).take_output()?;
        self.0 = None;
        Some(outcome)
    }
}
