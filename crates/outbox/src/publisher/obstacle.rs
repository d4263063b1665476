use shop_messaging::PublishError;

use super::trouble::Trouble;
use crate::{
    Store, StoreError,
    cause::{Cause, cause},
};

/// A failure of something that a publisher needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

/// Describes an `error` from the outbox's database for people.
pub(super) async fn database_trouble(store: &Store, error: &StoreError) -> Trouble {
    let Cause { words, no_outbox } = cause(store, error).await;
    if no_outbox { Trouble::NoOutbox(words) } else { Trouble::Database(words) }
}
