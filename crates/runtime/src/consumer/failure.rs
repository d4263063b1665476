use sea_orm::DbErr;
use shop_messaging::Failure;

use crate::database::Failure as Why;

/// What a statement that failed in a handler means for its message.
///
/// While the database is away, full or refuses everybody, no message could be handled, so no attempt is counted. Everything else may be
/// this message's own doing, and is tried as often as the queue allows.
pub fn statement_failed(error: DbErr) -> Failure {
    match Why::of(&error) {
        Why::Away | Why::ReadOnly | Why::Vanished | Why::Shared | Why::Full | Why::Overloaded => {
            Failure::away(error)
        }
        Why::Contention | Why::TooSlow | Why::Fault => Failure::retry(error),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnAcquireErr, RuntimeErr};

    use super::*;

    #[test]
    fn an_outage_costs_no_attempt_and_anything_else_does() {
        let io = || {
            RuntimeErr::SqlxError(std::sync::Arc::new(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())))
        };
        for outage in [
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            DbErr::Conn(io()),
            DbErr::Exec(io()),
            DbErr::Query(io()),
        ] {
            let text = outage.to_string();
            assert!(matches!(statement_failed(outage), Failure::Away(_)), "{text}");
        }
        for other in [DbErr::RecordNotFound("a row".to_owned()), DbErr::Type("a column".to_owned())] {
            assert!(matches!(statement_failed(other), Failure::Retry(_)));
        }
    }
}
