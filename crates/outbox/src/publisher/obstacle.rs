use shop_messaging::PublishError;

use super::trouble::Trouble;
use crate::{
    Store, StoreError,
    cause::{Cause, cause},
};

/// What a publisher cannot work without, failing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

/// What `error` of the outbox's database is for people.
pub(super) async fn database_trouble(store: &Store, error: &StoreError) -> Trouble {
    let Cause { words, no_outbox } = cause(store, error).await;
    if no_outbox { Trouble::NoOutbox(words) } else { Trouble::Database(words) }
}
