//! Before what a shopper repeats, and whether. No I/O.

use std::time::Duration;

use shop_client::Failure;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Where a limit does not say when it is over.
const OF_A_LIMIT: Duration = Duration::from_secs(1);

/// Growing pauses.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(FIRST)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

/// How long to wait before the call that failed is repeated, as the shop asks for; `None` if it would fail again.
pub(crate) fn pause(failure: &Failure, pauses: &mut Pauses) -> Option<Duration> {
    let asked = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    match failure {
        Failure::Unavailable { retry_after, .. } => {
            Some(pauses.next().max(asked(*retry_after).unwrap_or_default()))
        }
        Failure::Refused(refusal) if is_for_now(refusal.status.as_u16(), &refusal.slug) => {
            Some(asked(refusal.retry_after).unwrap_or(OF_A_LIMIT))
        }
        _ => None,
    }
}

fn is_for_now(status: u16, slug: &str) -> bool {
    matches!(status, 408 | 425 | 429) || slug == "idempotency-key-in-progress"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<u32>) -> Failure {
        Failure::Unavailable {
            service: "order_service",
            reason: String::new(),
            retry_after,
            perhaps_done: true,
        }
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::new();
        let millis: Vec<_> = (0..8).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn what_is_away_is_asked_again_and_not_before_it_said() {
        let mut pauses = Pauses::new();
        assert_eq!(pause(&unavailable(None), &mut pauses), Some(FIRST));
        assert_eq!(pause(&unavailable(Some(7)), &mut pauses), Some(Duration::from_secs(7)));
        assert_eq!(pause(&unavailable(Some(0)), &mut pauses), Some(FIRST * 4));
    }

    #[test]
    fn what_is_refused_for_good_is_not_repeated() {
        let mut pauses = Pauses::new();
        assert_eq!(pause(&Failure::Unauthorized("order_service"), &mut pauses), None);
        for (status, slug, again) in [
            (429, "too-many-orders", true),
            (409, "idempotency-key-in-progress", true),
            (409, "price-changed", false),
            (422, "", false),
        ] {
            assert_eq!(is_for_now(status, slug), again, "{status} {slug}");
        }
    }
}
