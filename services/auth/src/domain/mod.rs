//! What an account is, how its password is kept, what its token says. Knows neither HTTP nor the database.

mod buckets;
mod client;
mod password;
mod passwords;
mod policy;
mod queue;
mod tokens;

use shop_core::{Email, UserId};
use shop_runtime::auth::Role;

pub use policy::PasswordPolicy;

pub(crate) use buckets::{Bucket, Buckets, INTERVAL};
pub(crate) use client::Client;
pub(crate) use password::{NewPassword, Password};
pub(crate) use passwords::{PasswordError, Passwords, Verdict};
pub(crate) use tokens::Tokens;

/// A person who has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    /// Whether the person keeps the shop.
    pub(crate) admin: bool,
}

impl Account {
    /// What the account may do: everybody buys, some keep the shop as well.
    pub(crate) fn roles(&self) -> Vec<Role> {
        if self.admin { vec![Role::Customer, Role::Admin] } else { vec![Role::Customer] }
    }
}
