use shop_core::Money;

/// What the last two digits of an amount, its kopecks, ask the simulated provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// …01: the charge is declined.
    Declined,
    /// …02: the answer takes two seconds.
    Slow,
    /// …03: two calls fail, and the third works.
    FailsTwice,
    /// …04: there is no answer, and the customer is charged all the same.
    TimesOut,
    /// …05: connections are refused until an administrator switches that off.
    Unavailable,
    /// All others: the charge is approved.
    Approved,
}

impl Ending {
    /// The ending of `amount`.
    pub(super) fn of(amount: Money) -> Self {
        match amount.minor() % 100 {
            1 => Self::Declined,
            2 => Self::Slow,
            3 => Self::FailsTwice,
            4 => Self::TimesOut,
            5 => Self::Unavailable,
            _ => Self::Approved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kopecks_decide() {
        let of = |minor| Ending::of(Money::from_minor(minor).unwrap());
        assert_eq!([of(1), of(50_001), of(99_999_901)], [Ending::Declined; 3]);
        assert_eq!([of(0), of(100), of(50_010), of(50_006), of(50_099)], [Ending::Approved; 5]);
    }
}
