//! Why a database cannot be used, in words for people. A pool that timed out only reports the time-out;
//! the reason is found out on a separate connection.

use std::{io, time::Duration};

use sqlx::{Connection as _, Error, PgConnection, PgPool};

use crate::{Pool, Refusal, Store, StoreError};

/// How long the separate connection may take to find the reason.
const PATIENCE: Duration = Duration::from_secs(2);

/// The cause of an error from the outbox's database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// For people.
    pub(crate) words: String,
    /// The database is there, but the outbox is not.
    pub(crate) no_outbox: bool,
}

/// Finds the cause of `error` from the database of `store`.
pub(crate) async fn cause(store: &Store, error: &StoreError) -> Cause {
    match store.pool() {
        Pool::Postgres(pool) if error.is_pool_timeout() => behind_the_wait(store, pool).await,
        _ => Cause { words: words(error.driver()), no_outbox: error.is_missing_table() },
    }
}

async fn behind_the_wait(store: &Store, pool: &PgPool) -> Cause {
    let options = pool.connect_options();
    let asked = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        connection.ping().await?;
        connection.close().await
    };
    let words = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => match store.refusal() {
            Some(Refusal::NoOutbox(words)) => return Cause { words, no_outbox: true },
            Some(Refusal::Other(words)) => words,
            None => "it takes a connection, but none of the publisher's own has become free".to_owned(),
        },
        Ok(Err(error)) => words(&error),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    Cause { words, no_outbox: false }
}

/// Puts what an operator can act on first, and the driver's own message after it.
fn words(error: &Error) -> String {
    match error {
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("nothing listens there: {error}"),
            io::ErrorKind::TimedOut => format!("no answer: {error}"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("there is no way to it: {error}")
            }
            _ if is_about_a_name(error) => format!("its name is not known: {error}"),
            _ => format!("the connection broke: {error}"),
        },
        Error::Tls(error) => format!("TLS fails: {error}"),
        Error::Database(error) => {
            let said = error.message();
            match error.code().as_deref().and_then(meaning) {
                Some(meaning) => format!("{meaning}: {said}"),
                None => said.to_owned(),
            }
        }
        error => error.to_string(),
    }
}

/// The standard library has no kind for it.
fn is_about_a_name(error: &io::Error) -> bool {
    error.to_string().contains("lookup address")
}

/// PostgreSQL's codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) for problems with the server or with
/// our rights.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "it refuses the password",
        "28000" => "it refuses the login",
        "3D000" => "it has no such database",
        "42501" => "a right is missing",
        "25006" => "it takes no writes, as a standby does",
        "53100" => "its disk is full",
        "53300" => "it has too many connections",
        "57P01" | "57P02" => "it is shutting down",
        "57P03" => "it is starting, or shutting down",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_network_error_is_put_into_words() {
        let told = |kind, text: &str| words(&Error::Io(io::Error::new(kind, text)));
        assert!(told(io::ErrorKind::ConnectionRefused, "os error 111").starts_with("nothing listens there"));
        let name = "failed to lookup address information: Name or service not known";
        assert!(told(io::ErrorKind::Other, name).starts_with("its name is not known"));
        assert!(told(io::ErrorKind::UnexpectedEof, "eof").starts_with("the connection broke"));
    }

    #[test]
    fn other_errors_keep_their_own_words() {
        assert_eq!(meaning("42P01"), None);
        assert_eq!(meaning("28P01"), Some("it refuses the password"));
    }

    #[tokio::test]
    async fn whoever_made_the_pool_says_what_its_connections_are_refused_for() {
        let Some(postgres) = shop_testing::postgres().await else { return };
        let pool =
            sqlx::postgres::PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(1));
        let pool = pool.connect_lazy(&postgres.url).unwrap();
        let _all = pool.acquire().await.unwrap();
        for (refusal, no_outbox) in [
            (Refusal::NoOutbox("there is no schema".to_owned()), true),
            (Refusal::Other("the server takes no writes".to_owned()), false),
        ] {
            let words = match &refusal {
                Refusal::NoOutbox(words) | Refusal::Other(words) => words.clone(),
            };
            let store = Store::new(pool.clone(), "publisher").refusing(move || Some(refusal.clone()));
            let error = store.ping().await.unwrap_err();
            assert_eq!(cause(&store, &error).await, Cause { words, no_outbox });
        }
    }

    /// The words for a database at `url`, whatever its pool says.
    async fn told(url: String) -> String {
        let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
        let store = Store::new(pool.connect_lazy(&url).unwrap(), "publisher");
        let error = store.ping().await.unwrap_err();
        let told = cause(&store, &error).await.words;
        println!("{error}\n  {told}");
        told
    }

    #[tokio::test]
    async fn each_cause_has_its_words() {
        let Some(postgres) = shop_testing::postgres().await else { return };
        let url = postgres.url.as_str();
        let (server, name) = url.rsplit_once('/').unwrap();
        let (_, host) = server.rsplit_once('@').unwrap_or(("", server.trim_start_matches("postgres://")));
        let role = format!("limited_{name}");
        let mut connection = PgConnection::connect(url).await.unwrap();
        let make = format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0");
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut connection).await.unwrap();
        for (url, words) in [
            ("postgres://shop@127.0.0.1:1/shop".to_owned(), "nothing listens there"),
            ("postgres://shop@nowhere.invalid/shop".to_owned(), "its name is not known"),
            (format!("{server}/elsewhere"), "it has no such database: "),
            (format!("postgres://nobody_{name}@{host}/{name}"), "it refuses the login: "),
            (format!("postgres://{role}@{host}/{name}"), "it has too many connections: "),
            (format!("{url}?sslmode=require"), "TLS fails: "),
        ] {
            let told = told(url).await;
            assert!(told.starts_with(words), "{told}");
        }
        let drop = format!("DROP ROLE {role}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
    }
}
