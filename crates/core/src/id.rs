use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = <$inner as FromStr>::Err;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A product of the catalog: a small positive number, because customers type it to the bot.
    ProductId(i64)
}
id! {
    /// An order: a UUIDv7, so that it sorts by age and cannot be guessed.
    OrderId(Uuid)
}
id! {
    /// A payment: a UUIDv7.
    PaymentId(Uuid)
}
id! {
    /// An account: a UUIDv7; the `sub` of its tokens.
    UserId(Uuid)
}
