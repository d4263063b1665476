use serde::Deserialize;
use shop_runtime::{
    config::{ExposeSecret as _, SecretString},
    http::FORWARDED_FOR,
};

use super::{Call, Shop, ShopError, at};
use crate::commands::Credentials;

/// A token that was given out.
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) access_token: SecretString,
    /// Seconds.
    pub(crate) expires_in: u32,
}

/// Whose login it is, so that auth_service can tell one chat from another.
pub(crate) struct OnBehalf {
    pub(crate) chat: i64,
    /// The token of an earlier login from the same chat.
    pub(crate) device: Option<SecretString>,
}

impl Shop {
    /// A token for a customer.
    ///
    /// # Errors
    /// [`ShopError::Unauthorized`] when the password or the address is wrong.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
        chat: &OnBehalf,
    ) -> Result<Token, ShopError> {
        let call = Call { service: "auth_service", span: "POST /auth/token" };
        let body = serde_json::json!({
            "email": credentials.email,
            "password": credentials.password.expose_secret(),
        });
        let request = self.http.post(at(&self.auth, &["auth", "token"])).json(&body);
        let request = request.header(FORWARDED_FOR, format!("_telegram{}", chat.chat));
        let request = match &chat.device {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        call.read(call.send(request).await?).await
    }

    /// Whether auth_service is alive.
    pub(crate) async fn auth_is_alive(&self) -> anyhow::Result<()> {
        self.alive(&self.auth).await
    }
}
