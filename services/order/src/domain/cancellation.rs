use shop_core::events::CancellationCode;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 500;

/// Why an order was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancellation {
    /// For programs.
    pub code: CancellationCode,
    /// For people to read.
    pub reason: String,
}

impl Cancellation {
    /// The customer did it.
    pub(crate) fn by_customer() -> Self {
        Self { code: CancellationCode::ByCustomer, reason: "cancelled by the customer".to_owned() }
    }

    /// Somebody of the shop did it.
    pub(crate) fn by_shop() -> Self {
        Self { code: CancellationCode::ByShop, reason: "cancelled by the shop".to_owned() }
    }

    /// The shop could not settle the order in time.
    pub(crate) fn timed_out() -> Self {
        Self { code: CancellationCode::TimedOut, reason: "the order was not confirmed in time".to_owned() }
    }

    /// A previous release did it, which kept no reason.
    pub(crate) fn unspecified() -> Self {
        Self { code: CancellationCode::Unspecified, reason: "the order was cancelled".to_owned() }
    }

    /// For a reason that another service gives, in a text of any length.
    pub(crate) fn told(code: CancellationCode, reason: &str) -> Self {
        // PostgreSQL stores no NUL in a text.
        let reason = reason.chars().filter(|character| *character != '\0').take(LONGEST_REASON).collect();
        Self { code, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_another_service_can_be_stored_whatever_it_is() {
        let told = Cancellation::told(CancellationCode::OutOfStock, "none\0 left");
        assert_eq!(told.reason, "none left");
        let long = Cancellation::told(CancellationCode::OutOfStock, &"ы".repeat(10_000));
        assert_eq!(long.reason.chars().count(), LONGEST_REASON);
    }
}
