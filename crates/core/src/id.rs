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

impl OrderId {
    /// The order's number, as customers see it everywhere: on pages, in the bot's messages and in mails.
    ///
    /// The last eight digits of the id, in upper case. The beginning of a UUIDv7 is the time, and nearly the same for all orders of one day; the
    /// end is random. It identifies an order among those of one customer, not among all: nothing is looked up by it.
    pub fn number(self) -> String {
        let id = self.0.simple().to_string();
        id[id.len() - 8..].to_uppercase()
    }
}

id! {
    /// A payment: a UUIDv7.
    PaymentId(Uuid)
}
id! {
    /// An account: a UUIDv7; the `sub` of its tokens.
    UserId(Uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orders_number_is_the_end_of_its_id() {
        let id: OrderId = "01936f00-0000-7000-8000-0000abcdef12".parse().unwrap();
        assert_eq!(id.number(), "ABCDEF12");
    }
}
