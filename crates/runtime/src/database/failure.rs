//! What a failed statement means: whether it can be retried, and what the client is told. Only this module knows the error codes.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// Why the database did not carry out a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached, is starting or stopping, or currently refuses everybody.
    Away,
    /// It accepts no writes: it was demoted, or its disk is read-only.
    ReadOnly,
    /// The service's schema, or a table in it, no longer exists.
    Vanished,
    /// A pooler shares sessions among its clients.
    Shared,
    /// Its disk is full.
    Full,
    /// Other transactions were changing the same rows. Nothing of this transaction was stored, and a retry may succeed at once.
    Contention,
    /// It took longer than a statement, or the wait for a lock, may take.
    TooSlow,
    /// All connections are in use.
    Overloaded,
    /// None of these: a bug in the code, or bad data.
    Fault,
}

impl Failure {
    /// Classifies `error`.
    pub fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Self::Overloaded,
            DbErr::ConnectionAcquire(_) => Self::Away,
            // There was not even a connection.
            DbErr::Conn(error) => match Self::of_runtime(error) {
                Self::Fault => Self::Away,
                known => known,
            },
            DbErr::Exec(error) | DbErr::Query(error) => Self::of_runtime(error),
            _ => Self::Fault,
        }
    }

    /// Whether `error` is that the server does not accept the password: it was rotated a moment ago, or is wrong. The server
    /// checks it before everything else, so nothing was done.
    pub(super) fn is_of_the_password(error: &DbErr) -> bool {
        let (DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))) = error
        else {
            return false;
        };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // invalid_password, invalid_authorization_specification
        matches!(code.as_deref(), Some("28P01" | "28000"))
    }

    fn of_runtime(error: &RuntimeErr) -> Self {
        match error {
            RuntimeErr::SqlxError(error) => Self::of_driver(error),
            RuntimeErr::Internal(_) => Self::Fault,
        }
    }

    pub(super) fn of_driver(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => match error.code() {
                // PostgreSQL's codes have five characters, and SQLite's are numbers of up to four.
                Some(code) if code.len() == 5 => Self::of_sqlstate(&code),
                Some(code) => Self::of_sqlite(code.parse().unwrap_or_default(), error.message()),
                None => Self::Fault,
            },
            sqlx::Error::PoolTimedOut => Self::Overloaded,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Self::Away,
            _ => Self::Fault,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // read_only_sql_transaction
            "25006" => Self::ReadOnly,
            // invalid_schema_name, undefined_table, invalid_catalog_name
            "3F000" | "42P01" | "3D000" => Self::Vanished,
            // duplicate_prepared_statement, invalid_sql_statement_name
            "42P05" | "26000" => Self::Shared,
            // disk_full
            "53100" => Self::Full,
            // serialization_failure, deadlock_detected
            "40001" | "40P01" => Self::Contention,
            // query_canceled (statement_timeout), lock_not_available (lock_timeout), idle_in_transaction_session_timeout
            "57014" | "55P03" | "25P03" => Self::TooSlow,
            // insufficient_privilege: somebody is changing the role's rights
            "42501" => Self::Away,
            // Connections, resources, shutdowns, the server's own system errors, and authorization.
            _ if ["08", "53", "57P", "58", "28"].iter().any(|class| code.starts_with(class)) => Self::Away,
            _ => Self::Fault,
        }
    }

    /// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
    fn of_sqlite(code: i32, message: &str) -> Self {
        match code & 0xff {
            // SQLITE_BUSY, SQLITE_LOCKED
            5 | 6 => Self::Contention,
            // SQLITE_READONLY
            8 => Self::ReadOnly,
            // SQLITE_FULL; SQLITE_IOERR_SHMSIZE is what a full disk causes in the index of the WAL
            13 => Self::Full,
            10 if code == 4874 => Self::Full,
            // SQLITE_INTERRUPT
            9 => Self::TooSlow,
            // SQLITE_PERM, SQLITE_NOMEM, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_PROTOCOL
            3 | 7 | 10 | 14 | 15 => Self::Away,
            1 if message.starts_with("no such table") => Self::Vanished,
            _ => Self::Fault,
        }
    }

    /// Whether open connections can no longer be trusted after this failure.
    pub(super) fn casts_doubt(self) -> bool {
        matches!(self, Self::Away | Self::ReadOnly | Self::Vanished | Self::Shared | Self::Full)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_postgresql_cannot_do_now_is_no_fault_of_the_code() {
        for (codes, failure) in [
            (&["08006", "57P01", "57P03", "53300", "28P01", "58030", "42501"][..], Failure::Away),
            (&["25006"], Failure::ReadOnly),
            (&["3F000", "42P01", "3D000"], Failure::Vanished),
            (&["42P05", "26000"], Failure::Shared),
            (&["53100"], Failure::Full),
            (&["40001", "40P01"], Failure::Contention),
            (&["57014", "55P03"], Failure::TooSlow),
            (&["42601", "23505", "25P02", "XX000"], Failure::Fault),
        ] {
            for code in codes {
                assert_eq!(Failure::of_sqlstate(code), failure, "{code}");
            }
        }
    }

    #[test]
    fn what_sqlite_cannot_do_now_is_no_fault_of_the_code() {
        for (code, failure) in [
            (13, Failure::Full),
            (4874, Failure::Full),
            (5, Failure::Contention),
            (517, Failure::Contention),
            (778, Failure::Away),
            (14, Failure::Away),
            (1032, Failure::ReadOnly),
            (2067, Failure::Fault),
            (11, Failure::Fault),
        ] {
            assert_eq!(Failure::of_sqlite(code, ""), failure, "{code}");
        }
        assert_eq!(Failure::of_sqlite(1, "no such table: orders"), Failure::Vanished);
        assert_eq!(Failure::of_sqlite(1, "near \"SELEC\": syntax error"), Failure::Fault);
    }

    #[test]
    fn a_connection_that_breaks_or_cannot_be_had_is_told_apart_from_a_bug() {
        let broken = || sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()).into();
        assert_eq!(Failure::of(&DbErr::Query(RuntimeErr::SqlxError(broken()))), Failure::Away);
        assert_eq!(Failure::of(&DbErr::Conn(RuntimeErr::Internal("refused".to_owned()))), Failure::Away);
        assert_eq!(Failure::of(&DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)), Failure::Overloaded);
        assert_eq!(Failure::of(&DbErr::Custom("a bug".to_owned())), Failure::Fault);
    }
}
