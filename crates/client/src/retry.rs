//! Which calls are retried. Only those where that is harmless:
//!
//! - a call that never reached its service (the connection was refused) is retried once, whatever it is: a service that is
//!   being replaced refuses connections for a moment;
//! - an order with an unclear outcome is sent again with the same idempotency key, so it is placed only once.
//!
//! Everything else is reported at once: a service with problems does not need its callers to ask twice.

use std::{future::Future, time::Duration};

use backon::{ConstantBuilder, Retryable as _};
use tokio::time::Instant;

use crate::Failure;

/// The pause before a connection is retried; up to as much again is added, so that not all callers retry at once.
const BEFORE_RECONNECT: Duration = Duration::from_millis(100);

/// How often an order is sent again, and the pause before each time.
const UNCLEAR_REPEATS: usize = 2;
const BEFORE_REPEAT: Duration = Duration::from_secs(1);
/// An order is not sent again later than this after the first attempt, because somebody is waiting.
const UNCLEAR_FOR: Duration = Duration::from_secs(7);

/// Retries once what was not sent.
pub(crate) async fn unsent<T, F: Future<Output = reqwest::Result<T>>>(
    send: impl FnMut() -> F,
) -> reqwest::Result<T> {
    let once = ConstantBuilder::default().with_delay(BEFORE_RECONNECT).with_max_times(1).with_jitter();
    send.retry(once).when(reqwest::Error::is_connect).await
}

/// Retries a repeatable call while its outcome is unclear.
pub(crate) async fn unclear<T, F: Future<Output = Result<T, Failure>>>(
    call: impl FnMut() -> F,
) -> Result<T, Failure> {
    let began = Instant::now();
    let repeats = ConstantBuilder::default().with_delay(BEFORE_REPEAT).with_max_times(UNCLEAR_REPEATS);
    call.retry(repeats).when(|failure| is_unclear(failure) && began.elapsed() < UNCLEAR_FOR).await
}

fn is_unclear(failure: &Failure) -> bool {
    failure.perhaps_done() || failure.is_refused_as("idempotency-key-in-progress")
}
