use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The status of an order: `pending` → `confirmed` | `cancelled`. The last two are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Placed, and not yet decided.
    Pending,
    /// Stock is reserved and the customer has paid.
    Confirmed,
    /// Refused, timed out, or cancelled by the customer.
    Cancelled,
}

/// There is no status with this name.
#[derive(Debug, Error)]
#[error("unknown order status")]
pub struct UnknownStatus;

impl OrderStatus {
    /// Whether an order may go from this status to `next`.
    pub fn may_become(self, next: Self) -> bool {
        self == Self::Pending && next != Self::Pending
    }

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::Pending, Self::Confirmed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::OrderStatus::{Cancelled, Confirmed, Pending};

    #[test]
    fn only_a_pending_order_changes() {
        assert!(Pending.may_become(Confirmed) && Pending.may_become(Cancelled));
        for (from, to) in
            [(Confirmed, Cancelled), (Cancelled, Confirmed), (Pending, Pending), (Confirmed, Pending)]
        {
            assert!(!from.may_become(to), "{from} → {to}");
        }
    }
}
