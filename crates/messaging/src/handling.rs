//! The handling of a delivery: its turn, the handler's attempts with the pauses between them, and how it is settled.

use std::{borrow::Cow, panic::AssertUnwindSafe};

use error_reporter::Report;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::{Delivery, Failure, Handler, HeaderValue, Message, Subscription, backoff, lanes::Lanes};

/// The header that names a message's aggregate.
const AGGREGATE_ID: &str = "aggregate_id";

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    Done,
    /// Back to the queue.
    Again,
    /// To the dead letters.
    Dead,
}

/// The deliveries that one session of a consumer has taken.
pub(crate) struct Handling<'c> {
    handler: &'c dyn Handler,
    subscription: &'c Subscription,
    /// No further attempt is made once this is cancelled: the consumer stops, or has lost its connection.
    stop: &'c CancellationToken,
    lanes: Lanes,
}

/// What to do about a failure.
enum Next {
    Dead,
    /// Try again: here, or by way of the queue.
    Pause {
        counted: bool,
        here: bool,
    },
}

impl<'c> Handling<'c> {
    pub(crate) fn new(
        handler: &'c dyn Handler,
        subscription: &'c Subscription,
        stop: &'c CancellationToken,
    ) -> Self {
        Self { handler, subscription, stop, lanes: Lanes::default() }
    }

    /// Lets the handler handle a delivery. Called in the order of the deliveries, which is the order within each lane, however
    /// the futures are polled.
    ///
    /// After a failure the message stays with this consumer for as long as the attempt is worth, so that a queue of one at a time
    /// keeps its order; in an ordered queue it stays until it is settled.
    pub(crate) fn handle(&self, delivery: Delivery) -> impl Future<Output = Settlement> {
        let aggregate = if self.subscription.ordered { aggregate(&delivery.message) } else { None };
        let place = aggregate.map(|aggregate| self.lanes.enter(&aggregate));
        async move {
            let Some(mut place) = place else { return self.settlement(delivery).await };
            // A stopping consumer begins nothing new.
            if !place.turn().await || self.stop.is_cancelled() {
                return Settlement::Again;
            }
            let settlement = self.settlement(delivery).await;
            if settlement != Settlement::Again {
                place.leave();
            }
            settlement
        }
    }

    async fn settlement(&self, mut delivery: Delivery) -> Settlement {
        let mut failures = 0;
        loop {
            let attempt = AssertUnwindSafe(self.handler.handle(delivery.clone())).catch_unwind().await;
            let Err(failure) = attempt.unwrap_or_else(|_| Err(Failure::retry("the handler panicked"))) else {
                return Settlement::Done;
            };
            let Next::Pause { counted, here } = self.next(&delivery, &failure) else {
                return Settlement::Dead;
            };
            failures += 1;
            let pause = backoff::after(if counted { delivery.attempt } else { failures });
            // A stopping consumer hands the message back at once.
            let waited = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some();
            if !waited || !here {
                return Settlement::Again;
            }
            delivery.attempt += u32::from(counted);
        }
    }

    /// Decides what follows a failure, and logs it.
    fn next(&self, delivery: &Delivery, failure: &Failure) -> Next {
        let Subscription { queue, ordered, delivery_limit, .. } = self.subscription;
        let Delivery { message: Message { id, kind, .. }, attempt } = delivery;
        match failure {
            Failure::Reject(error) => {
                tracing::error!(queue, %id, kind, attempt, error = %Report::new(&**error), "rejected, to the dead letters");
                Next::Dead
            }
            // The queue counts the deliveries of one that is not ordered.
            Failure::Retry(error) if *ordered && attempt >= delivery_limit => {
                tracing::error!(queue, %id, kind, attempt, error = %Report::new(&**error), "given up, to the dead letters");
                Next::Dead
            }
            Failure::Retry(error) => {
                tracing::warn!(queue, %id, kind, attempt, error = %Report::new(&**error), "not handled, to be tried again");
                Next::Pause { counted: true, here: *ordered }
            }
            Failure::Away(error) => {
                tracing::warn!(queue, %id, kind, attempt, error = %Report::new(&**error), "cannot be handled at the moment");
                Next::Pause { counted: false, here: true }
            }
        }
    }
}

/// The unit of ordering: the message's aggregate. `None` if it names none.
fn aggregate(message: &Message) -> Option<Cow<'_, str>> {
    match message.headers.get(AGGREGATE_ID)? {
        HeaderValue::Text(id) => Some(id.into()),
        HeaderValue::Number(id) => Some(id.to_string().into()),
    }
}
