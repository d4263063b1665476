//! A mark in progress while the publisher continues: its commit waits for a disk, and rows that commit
//! meanwhile need not wait for it.

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

/// The mark in progress, if there is one. It only makes progress [`beside`](Marking::beside) something else, or while it
/// is awaited.
#[derive(Default)]
pub(super) struct Marking(Option<MaybeDone<BoxFuture<'static, Outcome>>>);

impl Marking {
    /// Begins to mark; the previous mark must have ended.
    pub(super) fn begin(&mut self, store: Store, lease: Lease, marks: Marks) {
        self.0 = Some(maybe_done(async move { store.mark(&lease, &marks).await }.boxed()));
    }

    /// Does `work`, and continues the mark meanwhile.
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

    /// Waits until it has ended; forever, if there is none.
    pub(super) async fn ended(&mut self) {
        poll_fn(|context| match &mut self.0 {
            Some(running) => Pin::new(running).poll(context),
            None => Poll::Pending,
        })
        .await;
    }

    /// Returns its outcome, if it has ended.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let outcome = Pin::new(self.0.as_mut()?).take_output()?;
        self.0 = None;
        Some(outcome)
    }
}
