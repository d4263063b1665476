//! Whether something between gives one client's transactions to several servers, as PgBouncer does in its modes `transaction` and
//! `statement`. What is set on a session is then lost, or somebody else's.

use std::{io, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;
use uuid::Uuid;

use super::session::{Refusal, literal};

/// How often it is looked: one look can be misled by other clients of the same pooler, several cannot well be.
const LOOKS: usize = 4;

/// How long a pooler may let a new client wait for a server of its own.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks, with connections beside `session` that are closed again.
///
/// A mark is left on the session; another connection then begins a transaction, and keeps it. Where sessions are shared, it is given
/// the server with the mark, or the next statement of `session` comes to a server without it.
///
/// # Errors
/// [`Refusal::Shared`], or the database cannot be asked.
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
        // A pooler, or a server, that has no connection left for this has answered the question for now.
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
        // What it has begun ends with it.
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
        // Statement mode allows none.
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
