use std::time::Duration;

use sea_orm::DbErr;
use shop_messaging::BoxError;
use shop_outbox::{
    NewMessage, consumer,
    inbox::{self, Receipt},
};
use uuid::Uuid;

use crate::database::{self, Database, Transaction};

impl consumer::Database for Database {
    type Transaction = Transaction;

    async fn begin(&self) -> Result<Transaction, BoxError> {
        Ok(database::begin(self).await?)
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Ok(inbox::forget(self, retention, chunk).await?)
    }
}

impl shop_outbox::Transaction for Transaction {
    type Error = DbErr;

    async fn append(&mut self, message: &NewMessage) -> Result<(), DbErr> {
        shop_outbox::append(&*self, message).await
    }

    async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, DbErr> {
        inbox::receive(&*self, consumer, message_id).await
    }

    /// Needs no question: [`Transaction::commit`] refuses once a statement has failed.
    async fn holds(&mut self, _consumer: &str, _message_id: Uuid) -> Result<bool, DbErr> {
        Ok(true)
    }

    async fn commit(self) -> Result<(), DbErr> {
        Self::commit(self).await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        Self::rollback(self).await
    }
}
