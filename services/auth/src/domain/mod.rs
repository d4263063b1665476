//! What an account is, how its password is stored, and what its token says. Uses neither HTTP nor the database.

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

/// A registered person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    /// Whether the person manages the shop.
    pub(crate) admin: bool,
}

impl Account {
    /// What the account may do: everybody buys, and some also manage the shop.
    pub(crate) fn roles(&self) -> Vec<Role> {
        if self.admin { vec![Role::Customer, Role::Admin] } else { vec![Role::Customer] }
    }
}
