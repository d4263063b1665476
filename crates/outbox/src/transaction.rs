//! Transactions of sea-orm and of sqlx, for code that works with either: consumers.

use sqlx::Postgres;
#[cfg(feature = "sqlite")]
use sqlx::Sqlite;
use uuid::Uuid;

use crate::{
    NewMessage, append_sqlx,
    inbox::{self, Receipt},
};

/// An open transaction: events appended and messages received in it commit together with whatever else is written in it. It is
/// rolled back if it is dropped.
pub trait Transaction: Send + Sized {
    /// Why the database did not carry out a statement.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Appends an event, as `append` does.
    ///
    /// # Errors
    /// The database refuses the row or is away; the transaction should be rolled back.
    fn append(&mut self, message: &NewMessage) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Records a message in the inbox of `consumer`, as `inbox::receive` does.
    ///
    /// # Errors
    /// The database refuses the row or is away; the transaction should be rolled back.
    fn receive(
        &mut self,
        consumer: &str,
        message_id: Uuid,
    ) -> impl Future<Output = Result<Receipt, Self::Error>> + Send;

    /// Whether what was written is still there to be committed, by the row that [`receive`](Self::receive) wrote. PostgreSQL answers
    /// the commit of a transaction in which a statement has failed with a rollback and no error, and SQLite may have rolled back
    /// by itself (a full disk): if a handler passed over that, its message would be acknowledged and its effect lost.
    ///
    /// # Errors
    /// The transaction can only be rolled back.
    fn holds(
        &mut self,
        consumer: &str,
        message_id: Uuid,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Commits.
    ///
    /// # Errors
    /// Nothing was stored; or the connection broke just now, and it is unknown whether the transaction was stored.
    fn commit(self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Rolls back.
    ///
    /// # Errors
    /// The connection is broken, which has the same effect.
    fn rollback(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

#[cfg(feature = "sea-orm")]
impl Transaction for sea_orm::DatabaseTransaction {
    type Error = sea_orm::DbErr;

    async fn append(&mut self, message: &NewMessage) -> Result<(), Self::Error> {
        crate::append(&*self, message).await
    }

    async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, Self::Error> {
        inbox::receive(&*self, consumer, message_id).await
    }

    async fn holds(&mut self, consumer: &str, message_id: Uuid) -> Result<bool, Self::Error> {
        inbox::holds(&*self, consumer, message_id).await
    }

    async fn commit(self) -> Result<(), Self::Error> {
        Self::commit(self).await
    }

    async fn rollback(self) -> Result<(), Self::Error> {
        Self::rollback(self).await
    }
}

/// For sqlx's transaction types, which are alike.
macro_rules! of_sqlx {
    ($database:ty) => {
        impl Transaction for sqlx::Transaction<'static, $database> {
            type Error = sqlx::Error;

            async fn append(&mut self, message: &NewMessage) -> Result<(), Self::Error> {
                append_sqlx(self, message).await
            }

            async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, Self::Error> {
                inbox::receive_sqlx(self, consumer, message_id).await
            }

            async fn holds(&mut self, consumer: &str, message_id: Uuid) -> Result<bool, sqlx::Error> {
                inbox::holds_sqlx(self.into(), consumer, message_id).await
            }

            async fn commit(self) -> Result<(), Self::Error> {
                Self::commit(self).await
            }

            async fn rollback(self) -> Result<(), Self::Error> {
                Self::rollback(self).await
            }
        }
    };
}

of_sqlx!(Postgres);
#[cfg(feature = "sqlite")]
of_sqlx!(Sqlite);
