use std::time::Duration;

use super::link::Cause;
use crate::BrokerError;

/// How long one administrative step may take: a declaration, reading the dead letters, the replay of one.
const PATIENCE: Duration = Duration::from_secs(30);

/// `work`, which is a step of administration, with a limit to its time.
pub(super) async fn bounded<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    let late = |_| BrokerError::Disconnected(format!("no answer within {PATIENCE:?}"));
    let done = tokio::time::timeout(PATIENCE, work).await.map_err(late)?;
    done.map_err(|error| match Cause::from(&error) {
        Cause::Channel(_, text) => BrokerError::Refused(text),
        Cause::Connection(text) => BrokerError::Disconnected(text),
    })
}
