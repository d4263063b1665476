//! Redrives dead messages.

use std::time::Duration;

use shop_outbox::Store;

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Dead messages redriven by one statement.
const CHUNK: u32 = 500;

/// Redrives all messages that are dead now; returns their number, or `None` if the database failed and the redrive must be
/// retried.
pub(super) async fn redrive_all(store: &Store) -> Option<i64> {
    let (mut count, mut last) = (0, 0);
    loop {
        match tokio::time::timeout(PATIENCE, store.redrive_next(last, CHUNK)).await {
            Ok(Ok(redriven)) => {
                let Some(end) = redriven.last() else { return Some(count) };
                count += i64::try_from(redriven.len()).unwrap_or(i64::MAX);
                last = end.id;
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "dead messages are not redriven yet");
                return None;
            }
            Err(_) => {
                tracing::warn!("dead messages are not redriven yet: no answer");
                return None;
            }
        }
    }
}
