use shop_core::{Email, UserId};
use thiserror::Error;

use super::{Cancellation, Customer, TokenHash};

/// The caller, who determines which orders are visible. Every finder of the store takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// A caller without a token, if guest checkout is on: sees no orders, only summaries of guests' orders.
    Guest,
    /// A caller with the token of a guest's order: sees that order.
    Holder(TokenHash),
    /// An account: sees its own orders.
    Customer(Account),
    /// An account that manages the shop: sees every order.
    Admin(Account),
}

/// What a token says about its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: Email,
}

/// Why an order cannot be placed for the e-mail address in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotTheCustomer {
    #[error("Without a token, customer_email must say for whom the order is.")]
    Missing,
    #[error("The order is for the token's e-mail address; leave customer_email out or send the same one.")]
    SomebodyElse,
}

impl Viewer {
    /// For whom this viewer places an order: an account for itself, whatever its role, a guest for `stated`.
    pub(crate) fn customer(&self, stated: Option<&Email>) -> Result<Customer, NotTheCustomer> {
        match self {
            Self::Guest | Self::Holder(_) => {
                let email = stated.ok_or(NotTheCustomer::Missing)?.clone();
                Ok(Customer { account: None, email })
            }
            Self::Customer(account) | Self::Admin(account) => {
                if stated.is_some_and(|email| *email != account.email) {
                    return Err(NotTheCustomer::SomebodyElse);
                }
                Ok(Customer { account: Some(account.id), email: account.email.clone() })
            }
        }
    }

    /// The reason recorded for a cancellation by this viewer.
    pub(crate) fn cancellation(&self) -> Cancellation {
        match self {
            Self::Guest | Self::Holder(_) | Self::Customer(_) => Cancellation::by_customer(),
            Self::Admin(_) => Cancellation::by_shop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn a_guest_states_an_address() {
        let buyer = email("buyer@example.com");
        assert_eq!(
            Viewer::Guest.customer(Some(&buyer)),
            Ok(Customer { account: None, email: buyer.clone() })
        );
        assert_eq!(Viewer::Guest.customer(None), Err(NotTheCustomer::Missing));
    }

    #[test]
    fn an_account_orders_for_itself_only() {
        let account = Account { id: UserId(uuid::Uuid::nil()), email: email("user@example.com") };
        for viewer in [Viewer::Customer(account.clone()), Viewer::Admin(account.clone())] {
            let own = Ok(Customer { account: Some(account.id), email: account.email.clone() });
            assert_eq!(viewer.customer(None), own);
            assert_eq!(viewer.customer(Some(&email("USER@example.com"))), own);
            assert_eq!(viewer.customer(Some(&email("other@example.com"))), Err(NotTheCustomer::SomebodyElse));
        }
    }
}
