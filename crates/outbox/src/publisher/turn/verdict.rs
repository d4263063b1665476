//! What the broker's verdict on a row means for it.

use shop_messaging::Verdict;

use super::step::Answered;
use crate::{
    RetryPolicy,
    store::{Failure, Row},
};

/// A row that was not accepted is retried after a pause, of which `seed` chooses a share, or is given up.
pub(super) fn judge(row: Row, verdict: Verdict, retry: &RetryPolicy, seed: u64) -> Answered {
    let error = match &verdict {
        Verdict::Confirmed => return Answered { row, verdict, failure: None },
        Verdict::Returned(reason) => format!("returned: {reason}"),
        Verdict::Nacked => "the broker refused it (nack)".to_owned(),
        Verdict::Refused(reason) => reason.clone(),
    };
    let pause = match verdict {
        Verdict::Refused(_) => None,
        _ => retry.pause_after(row.attempts + 1, seed),
    };
    let pause = pause.map_or(-1.0, |pause| pause.as_secs_f64());
    let failure = Some(Failure { id: row.id, error, pause });
    Answered { row, verdict, failure }
}
