use serde::Deserialize;
use shop_runtime::config::{ExposeSecret as _, SecretString};

use super::{Call, Shop, ShopError, at};
use crate::commands::Credentials;

/// A token that was given out.
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) access_token: SecretString,
    /// Seconds.
    pub(crate) expires_in: u32,
}

impl Shop {
    /// A token for a customer.
    ///
    /// # Errors
    /// [`ShopError::Unauthorized`] when the password or the address is wrong.
    pub(crate) async fn log_in(&self, credentials: &Credentials) -> Result<Token, ShopError> {
        let call = Call { service: "auth_service", span: "POST /auth/token" };
        let body = serde_json::json!({
            "email": credentials.email,
            "password": credentials.password.expose_secret(),
        });
        call.read(call.send(self.http.post(at(&self.auth, &["auth", "token"])).json(&body)).await?).await
    }

    /// Whether auth_service is alive.
    pub(crate) async fn auth_is_alive(&self) -> anyhow::Result<()> {
        self.alive(&self.auth).await
    }
}
