//! Writers: transactions on a few aggregates, each under its row lock.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
    TransactionTrait as _, Value,
};
use uuid::Uuid;

use super::{
    ledger::{Event, Ledger},
    plan::{Body, Transaction},
};
use crate::support::message;

pub(crate) const ROUTING_KEY: &str = "thing.changed";
const UNROUTABLE: &str = "nobody.listens";
/// The publisher's limit on payloads.
pub(crate) const MAX_PAYLOAD: usize = 4_096;

pub(crate) const TABLES: &str =
    "CREATE TABLE model_aggregates (id text PRIMARY KEY, version bigint NOT NULL);
     CREATE TABLE model_transactions (id text PRIMARY KEY);";

/// What makes a row poison: true of the rows that [`Body::is_poison`] made, until they are cured.
pub(crate) const IS_POISON: &str = "(routing_key <> 'thing.changed' OR length(CAST(payload AS text)) > 4096)";

pub(crate) struct Writer {
    pub(crate) name: String,
    pub(crate) database: DatabaseConnection,
    pub(crate) ledger: Arc<Ledger>,
}

/// A transaction that did not do what it was asked.
enum Failed {
    /// Before its commit was asked for.
    Undone(DbErr),
    /// In its commit: only the database knows.
    InDoubt(DbErr),
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Undone(error)
    }
}

impl Writer {
    pub(crate) async fn work(self, transactions: Vec<Transaction>) {
        for transaction in transactions {
            tokio::time::sleep(transaction.pause).await;
            let id = Uuid::new_v4();
            let mut events = Vec::new();
            let committed = match self.execute(&transaction, id, &mut events).await {
                Ok(()) => transaction.commits,
                Err(Failed::Undone(error)) => {
                    self.ledger.note(format!("{}: rolled back: {error}", self.name));
                    false
                }
                Err(Failed::InDoubt(error)) => {
                    let committed = self.resolve(&transaction, id).await;
                    let outcome = if committed { "committed" } else { "rolled back" };
                    self.ledger.note(format!("{}: {outcome} after all: {error}", self.name));
                    committed
                }
            };
            self.ledger.transaction(events, committed);
        }
    }

    async fn execute(
        &self,
        transaction: &Transaction,
        id: Uuid,
        events: &mut Vec<Event>,
    ) -> Result<(), Failed> {
        let open = self.database.begin().await?;
        let mut versions = Vec::new();
        for aggregate in transaction.aggregates() {
            versions.push((aggregate, lock(&open, aggregate).await?));
        }
        for (aggregate, body) in &transaction.events {
            let Some((_, version)) = versions.iter_mut().find(|(locked, _)| locked == aggregate) else {
                continue;
            };
            *version += 1;
            let event =
                Event { id: Uuid::new_v4(), aggregate: name(*aggregate), version: *version, body: *body };
            append(&open, &event).await?;
            events.push(event);
        }
        for (aggregate, version) in versions {
            let update = "UPDATE model_aggregates SET version = $2 WHERE id = $1";
            open.execute_raw(statement(&open, update, [name(aggregate).into(), version.into()])).await?;
        }
        let insert = "INSERT INTO model_transactions (id) VALUES ($1)";
        open.execute_raw(statement(&open, insert, [id.to_string().into()])).await?;
        tokio::time::sleep(transaction.hold).await;
        if transaction.commits {
            open.commit().await.map_err(Failed::InDoubt)
        } else {
            // One that fails has ended with its connection.
            let _ = open.rollback().await;
            Ok(())
        }
    }

    /// Whether the transaction `id` has committed. Its row locks tell when it has ended.
    async fn resolve(&self, transaction: &Transaction, id: Uuid) -> bool {
        loop {
            match self.ask(transaction, id).await {
                Ok(committed) => return committed,
                Err(error) => self.ledger.note(format!("{}: in doubt: {error}", self.name)),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, transaction: &Transaction, id: Uuid) -> Result<bool, DbErr> {
        let open = self.database.begin().await?;
        for aggregate in transaction.aggregates() {
            lock(&open, aggregate).await?;
        }
        let ask = "SELECT id FROM model_transactions WHERE id = $1";
        let found = open.query_one_raw(statement(&open, ask, [id.to_string().into()])).await?;
        open.rollback().await?;
        Ok(found.is_some())
    }
}

impl Transaction {
    /// In the order in which all writers lock them.
    fn aggregates(&self) -> Vec<usize> {
        let mut aggregates: Vec<usize> = self.events.iter().map(|(aggregate, _)| *aggregate).collect();
        aggregates.sort_unstable();
        aggregates.dedup();
        aggregates
    }
}

pub(crate) fn name(aggregate: usize) -> String {
    format!("a{aggregate}")
}

/// Locks the aggregate's row and answers its version.
async fn lock(open: &DatabaseTransaction, aggregate: usize) -> Result<i64, DbErr> {
    let lock = match open.get_database_backend() {
        DbBackend::Postgres => "SELECT version FROM model_aggregates WHERE id = $1 FOR UPDATE",
        // SQLite's lock is the whole database's, and has to be there before the first look.
        _ => "UPDATE model_aggregates SET version = version WHERE id = $1 RETURNING version",
    };
    let row = open.query_one_raw(statement(open, lock, [name(aggregate).into()])).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(name(aggregate)))?.try_get("", "version")
}

async fn append(open: &DatabaseTransaction, event: &Event) -> Result<(), DbErr> {
    let mut message = message(&event.aggregate, event.version, ROUTING_KEY);
    message.id = event.id;
    let padded = |size: usize| format!(r#"{{"{}":1}}"#, "x".repeat(size));
    match event.body {
        Body::Good(size) => message.payload = padded(size),
        Body::LongKey => message.routing_key = "x".repeat(256),
        Body::TooLarge => message.payload = padded(MAX_PAYLOAD),
        Body::Unroutable => UNROUTABLE.clone_into(&mut message.routing_key),
    }
    shop_outbox::append(open, &message).await
}

pub(crate) fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
