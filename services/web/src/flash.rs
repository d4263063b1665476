use serde::{Deserialize, Serialize};

/// A message for the next page that the visitor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flash {
    AddedToCart,
    CartUpdated,
    RemovedFromCart,
    CartIsFull,
    BadQuantity,
    LoginNeeded,
    SessionEnded,
    LoggedIn,
    Registered,
    LoggedOut,
    OrderPlaced,
    OrderInProgress,
    OrderCancelled,
    TooLateToCancel,
    LookAgain,
}

impl Flash {
    /// Whether it is bad news.
    pub(crate) fn is_warning(self) -> bool {
        matches!(
            self,
            Self::CartIsFull
                | Self::BadQuantity
                | Self::LoginNeeded
                | Self::SessionEnded
                | Self::TooLateToCancel
                | Self::LookAgain
        )
    }
}
