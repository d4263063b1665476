use serde::{Deserialize, Serialize};
use shop_core::{Email, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

/// The `iss` of the shop's tokens.
pub const ISSUER: &str = "shop";

/// The `aud` of the shop's tokens: its services, all of them.
pub const AUDIENCE: &str = "shop";

/// The longest life of a token, in minutes: 30 days.
pub const MAX_LIFETIME_MINUTES: u32 = 43_200;

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: UserId,
    /// Its e-mail address.
    pub email: Email,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`]. Tokens of versions before this claim have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The token's own id.
    pub jti: Uuid,
}

/// The audience of a token, or several (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One audience.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// The shop's services.
    pub fn shop() -> Self {
        Self::One(AUDIENCE.to_owned())
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Places orders.
    Customer,
    /// Manages the catalog and sees every order.
    Admin,
}
