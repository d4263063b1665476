//! Which calls are made again. Only those that cannot do harm:
//!
//! - a call that never reached its service (nobody took the connection) is made once more, whatever it is: a service that is
//!   being replaced refuses connections for a moment;
//! - an order whose outcome is unclear is sent again with the same idempotency key, so it is placed once.
//!
//! Everything else is reported at once: a service in trouble does not need its callers to ask twice.

use std::{future::Future, time::Duration};

use backon::{ConstantBuilder, Retryable as _};
use tokio::time::Instant;

use crate::Failure;

/// The pause before a connection is tried once more; up to as much again is added, so that not all callers come at once.
const BEFORE_RECONNECT: Duration = Duration::from_millis(100);

/// How often an order is sent again, and the pause before each time.
const UNCLEAR_REPEATS: usize = 2;
const BEFORE_REPEAT: Duration = Duration::from_secs(1);
/// An order is not sent again later than this after it was sent first: somebody is waiting.
const UNCLEAR_FOR: Duration = Duration::from_secs(7);

/// Sends once more what was not sent.
pub(crate) async fn unsent<T, F: Future<Output = reqwest::Result<T>>>(
    send: impl FnMut() -> F,
) -> reqwest::Result<T> {
    let once = ConstantBuilder::default().with_delay(BEFORE_RECONNECT).with_max_times(1).with_jitter();
    send.retry(once).when(reqwest::Error::is_connect).await
}

/// Repeats a call that may be repeated, while it is unclear what became of it.
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
