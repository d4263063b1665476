use reqwest::RequestBuilder;
use shop_runtime::config::{ExposeSecret as _, SecretString};

/// What proves that an order is the caller's. No `Debug`: it holds a token.
#[derive(Clone, Copy)]
pub enum Owner<'a> {
    /// The access token of the account that has placed it, or of an administrator.
    Account(&'a str),
    /// The order's own token, which a guest was given.
    Guest(&'a str),
}

/// An [`Owner`] that is kept.
#[derive(Debug)]
pub(super) enum KeptOwner {
    Account(SecretString),
    Guest(SecretString),
}

impl Owner<'_> {
    /// Adds the proof to `request`: always as a header, because addresses end up in logs.
    pub(super) fn sign(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Account(token) => request.bearer_auth(token),
            Self::Guest(token) => request.header("x-order-token", token),
        }
    }

    pub(super) fn kept(self) -> KeptOwner {
        match self {
            Self::Account(token) => KeptOwner::Account(token.into()),
            Self::Guest(token) => KeptOwner::Guest(token.into()),
        }
    }
}

impl KeptOwner {
    pub(super) fn lent(&self) -> Owner<'_> {
        match self {
            Self::Account(token) => Owner::Account(token.expose_secret()),
            Self::Guest(token) => Owner::Guest(token.expose_secret()),
        }
    }
}
