use sea_orm::DbErr;
use shop_messaging::PublishError;

use super::trouble::Trouble;
use crate::{
    Store,
    cause::{cause, is_missing_table},
};

/// What a publisher cannot work without, failing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

/// What `error` of the outbox's database is for people.
pub(super) async fn database_trouble(store: &Store, error: &DbErr) -> Trouble {
    let words = cause(store, error).await;
    if is_missing_table(error) { Trouble::NoOutbox(words) } else { Trouble::Database(words) }
}
