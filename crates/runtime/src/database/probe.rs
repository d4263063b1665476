//! The check for readiness, through a separate connection: even if requests use all of the pool's connections, the service is ready.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use thiserror::Error;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    failure::Failure,
    history, pooler,
    session::{self, Refusal},
    state::{Server, State},
};

/// How long a result is reused.
const FRESH: Duration = Duration::from_secs(1);

/// How long a check may take: less than the client of the readiness probe waits.
const PATIENCE: Duration = Duration::from_millis(1700);

/// The maximum age of the connection, as in the pools.
const LIFETIME: Duration = Duration::from_secs(600);

/// Takes up a quarter of a MiB, which is more than a few orders need, in the file and in its log.
const TAKE_ROOM: [&str; 2] =
    ["CREATE TABLE IF NOT EXISTS shop_room (filler blob)", "INSERT INTO shop_room VALUES (zeroblob(262144))"];
const GIVE_ROOM_BACK: &str = "DROP TABLE shop_room";
const TRY_ROOM: &str = "BEGIN; CREATE TEMPORARY TABLE shop_room ON COMMIT DROP AS \
     SELECT repeat(md5(i::text), 60) AS filler FROM generate_series(1, 128) AS i; ROLLBACK";

/// Why the service could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unready {
    #[error("{0}")]
    Away(String),
    #[error("{0}")]
    Vanished(String),
    #[error("there is no room on the database's disk")]
    Full,
}

#[derive(Debug, Default)]
pub(super) struct Probe(Mutex<Seen>);

/// The result of the last check, and its connection.
#[derive(Debug, Default)]
struct Seen {
    session: Option<Session>,
    at: Option<Instant>,
    outcome: Option<Unready>,
}

#[derive(Debug)]
struct Session {
    connection: PgConnection,
    opened: Instant,
}

impl Probe {
    /// Checks whether the service could do its work; a recent result is reused, unless something has failed since.
    pub(super) async fn look(&self, state: &State) -> Result<(), Unready> {
        let looking = async {
            let mut seen = self.0.lock().await;
            if seen.at.is_none_or(|at| at.elapsed() > FRESH || state.was_doubted_after(at)) {
                // Taken out, so that a check that is interrupted leaves no half-used connection behind.
                let session = seen.session.take();
                let (session, outcome) = match timeout(PATIENCE, ask(session, state)).await {
                    Ok(Ok(session)) => (session, None),
                    Ok(Err(unready)) => (None, Some(unready)),
                    Err(_) => (None, Some(Unready::Away(format!("no answer within {PATIENCE:?}")))),
                };
                match &outcome {
                    None => state.untroubled(),
                    Some(unready) => {
                        state.doubt();
                        state.troubled(unready.to_string(), matches!(unready, Unready::Vanished(_)));
                    }
                }
                *seen = Seen { session, at: Some(Instant::now()), outcome };
            }
            seen.outcome.clone().map_or(Ok(()), Err)
        };
        looking.await
    }
}

async fn ask(session: Option<Session>, state: &State) -> Result<Option<Session>, Unready> {
    match state.server() {
        Server::Postgres(options) => ask_postgres(session, &options, state).await.map(Some),
        Server::File(options) => ask_file(&options, state).await.map(|()| None),
        // It ends with the process, and has no other connection.
        Server::Memory if state.is_full() => Err(Unready::Full),
        Server::Memory => Ok(None),
    }
}

async fn ask_postgres(
    session: Option<Session>,
    options: &PgConnectOptions,
    state: &State,
) -> Result<Session, Unready> {
    let is_usable = |session: &Session| {
        let age = session.opened.elapsed();
        age < LIFETIME && !state.is_outdated(age) && state.is_unshared()
    };
    let usable = session.filter(is_usable);
    // The server behind the old connection may no longer exist, and another may have its address.
    if let Some(mut session) = usable
        && session::look(&mut session.connection, state.settings()).await.is_ok()
    {
        return see(session, state).await;
    }
    let mut connection = options.connect().await.map_err(|error| unready(&error))?;
    if !state.is_unshared() {
        pooler::refuse_if_shared(&mut connection, options).await.map_err(|error| unready(&error))?;
        state.found_unshared();
    }
    session::prepare(&mut connection, state.settings()).await.map_err(|error| unready(&error))?;
    see(Session { connection, opened: Instant::now() }, state).await
}

/// Checks the content of the schema, and for disk space if there was none.
async fn see(mut session: Session, state: &State) -> Result<Session, Unready> {
    let needed = state.needed();
    if !needed.is_empty() {
        let rows = sqlx::raw_sql(history::HISTORY).fetch_all(&mut session.connection).await;
        let rows = rows.map_err(|error| unready(&error))?;
        let applied: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get("version")).collect();
        is_complete(&needed, &applied.map_err(|error| unready(&error))?)?;
    }
    if state.is_full() {
        match sqlx::raw_sql(TRY_ROOM).execute(&mut session.connection).await {
            Ok(_) => state.has_room(),
            Err(error) if Failure::of_driver(&error) == Failure::Full => return Err(Unready::Full),
            // The user may not create temporary tables: the next write will show.
            Err(error) if is_forbidden(&error) => state.has_room(),
            Err(error) => return Err(unready(&error)),
        }
    }
    Ok(session)
}

/// Opens the file as the pool would: a deleted file is missing, even if the pool still has it open.
async fn ask_file(options: &SqliteConnectOptions, state: &State) -> Result<(), Unready> {
    let file = options.get_filename();
    if !file.exists() {
        return Err(Unready::Vanished(format!("the file {} is gone", file.display())));
    }
    let mut connection = options.clone().connect().await.map_err(|error| unready(&error))?;
    let seen = see_file(&mut connection, state).await;
    let _ = connection.close().await;
    seen
}

async fn see_file(connection: &mut SqliteConnection, state: &State) -> Result<(), Unready> {
    let needed = state.needed();
    if !needed.is_empty() {
        let rows = sqlx::raw_sql(history::HISTORY).fetch_all(&mut *connection).await;
        let rows = rows.map_err(|error| unready(&error))?;
        let applied: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get("version")).collect();
        is_complete(&needed, &applied.map_err(|error| unready(&error))?)?;
    }
    if state.is_full() {
        let mut outcome = Ok(());
        for statement in TAKE_ROOM {
            outcome = outcome.and(sqlx::raw_sql(statement).execute(&mut *connection).await.map(drop));
        }
        // Whatever the result; leftovers are found and dropped by the next check.
        let dropped = sqlx::raw_sql(GIVE_ROOM_BACK).execute(&mut *connection).await.map(drop);
        outcome.and(dropped).map_err(|error| unready(&error))?;
        state.has_room();
    }
    Ok(())
}

fn is_complete(needed: &[String], applied: &[String]) -> Result<(), Unready> {
    match history::missing(needed, applied) {
        None => Ok(()),
        Some(name) => Err(Unready::Vanished(format!("the schema lacks its migration {name}"))),
    }
}

fn is_forbidden(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("42501"))
}

fn unready(error: &sqlx::Error) -> Unready {
    match (Refusal::of(error), Failure::of_driver(error)) {
        (Some(refusal @ Refusal::NoSchema(_)), _) => Unready::Vanished(refusal.to_string()),
        (Some(refusal), _) => Unready::Away(refusal.to_string()),
        (None, Failure::Vanished) => Unready::Vanished(error.to_string()),
        (None, Failure::Full) => Unready::Full,
        (None, _) => Unready::Away(error.to_string()),
    }
}
