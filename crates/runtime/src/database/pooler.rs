//! Detects poolers that spread one client's transactions over several servers, as PgBouncer does in its modes `transaction` and
//! `statement`. Session settings are then lost, or affect other clients.

use std::{io, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;
use uuid::Uuid;

use super::session::{Refusal, literal};

/// How often the check runs: other clients of the same pooler can distort one result, but hardly several.
const LOOKS: usize = 4;

/// How long a pooler may make a new client wait for a server.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks with additional connections beside `session`, which are closed again.
///
/// It leaves a mark on the session; another connection then begins a transaction and keeps it open. If sessions are shared, either that
/// connection gets the server with the mark, or the next statement of `session` runs on a server without it.
///
/// # Errors
/// [`Refusal::Shared`], or the database cannot be queried.
pub(super) async fn refuse_if_shared(
    session: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), sqlx::Error> {
    let mut others = Vec::new();
    let mut shared = false;
    for _ in 0..LOOKS {
        let mark = Uuid::new_v4().to_string();
        let leave = format!("SELECT set_config('shop.session', {}, false)", literal(&mark));
        sqlx::raw_sql(AssertSqlSafe(leave)).execute(&mut *session).await?;
        // If a pooler or a server has no connection left for this, the check is skipped for now.
        let Ok(other) = timeout(PATIENCE, options.connect()).await else { break };
        let mut other = other?;
        shared = timeout(PATIENCE, is_seen_elsewhere(session, &mut other, &mark))
            .await
            .map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
        others.push(other);
        if shared {
            break;
        }
    }
    for other in others {
        // Its transaction ends with it.
        let _ = timeout(PATIENCE, other.close()).await;
    }
    if shared { Err(Refusal::Shared.into()) } else { Ok(()) }
}

async fn is_seen_elsewhere(
    session: &mut PgConnection,
    other: &mut PgConnection,
    mark: &str,
) -> Result<bool, sqlx::Error> {
    match sqlx::raw_sql("BEGIN").execute(&mut *other).await {
        Ok(_) => {}
        // Statement mode allows no transactions.
        Err(sqlx::Error::Database(error)) if error.message().contains("statement pooling mode") => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    }
    Ok(read(other).await? == mark || read(session).await? != mark)
}

async fn read(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let read = "SELECT coalesce(current_setting('shop.session', true), '') AS mark";
    sqlx::Row::try_get(&sqlx::raw_sql(read).fetch_one(connection).await?, "mark")
}
