use std::net::SocketAddr;

use clap::Args;
use cookie::Key;
use sha2::{Digest as _, Sha512};
use shop_client::parse_address;
use shop_runtime::config::{Demo, ExposeSecret as _, Secret, SecretString};
use url::Url;

use crate::trace_url::TraceUrl;

/// The storefront's environment variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storefront")]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "WEB_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// What the session cookies are encrypted with: at least 32 random bytes, the same for every replica
    #[arg(long, env = "WEB_SESSION_SECRET", hide_env_values = true)]
    pub session_secret: SecretString,
    /// Where auth_service is
    #[arg(long, env = "WEB_AUTH_URL", value_parser = parse_address)]
    pub auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "WEB_CATALOG_URL", value_parser = parse_address)]
    pub catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "WEB_ORDER_URL", value_parser = parse_address)]
    pub order_url: Url,
    /// Believe X-Forwarded-For, -Proto, -Host and -Port, or Forwarded: set it only behind a proxy that writes them itself
    #[arg(long, env = "WEB_TRUST_PROXY", default_value_t = false, action = clap::ArgAction::Set)]
    pub trust_proxy: bool,
    /// The address where a trace can be looked at, with {trace_id} in it: the page of an order links to its trace, for administrators, and
    /// for everybody if SHOP_DEMO is on
    #[arg(long, env = "WEB_TRACE_URL")]
    pub trace_url: Option<TraceUrl>,
    /// Whether the secret may be the documentation's example.
    #[command(flatten)]
    pub demo: Demo,
}

/// At least as long as the cipher's key.
const SESSION_SECRET: Secret = Secret {
    variable: "WEB_SESSION_SECRET",
    example: Some("change_me_session"),
    least: Some((32, "256 bits")),
};

impl Config {
    /// The key of the cookies. A secret of any length is stretched to what the key derivation needs.
    ///
    /// # Errors
    /// The secret has fewer than 32 bytes, or can be guessed. The documentation's example is accepted only in a demonstration.
    pub(crate) fn cookie_key(&self) -> anyhow::Result<Key> {
        SESSION_SECRET.check(&self.session_secret, self.demo)?;
        Ok(Key::derive_from(&Sha512::digest(self.session_secret.expose_secret().as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secret(secret: &str, is_on: bool) -> Config {
        let away: Url = "http://127.0.0.1:9".parse().unwrap();
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            session_secret: secret.to_owned().into(),
            auth_url: away.clone(),
            catalog_url: away.clone(),
            order_url: away,
            trust_proxy: false,
            trace_url: None,
            demo: Demo { is_on },
        }
    }

    #[test]
    fn a_short_secret_is_refused_without_telling_it() {
        let error = with_secret("s3cret", true).cookie_key().unwrap_err().to_string();
        assert_eq!(error, "WEB_SESSION_SECRET has 6 bytes and needs 32 (256 bits)");
    }

    #[test]
    fn the_specifications_example_is_for_a_demonstration_alone() {
        let example = with_secret("change_me_session", true).cookie_key().unwrap();
        let long = with_secret("4f1c0b7e9d2a4c558861b0d3f7a9e6c2", false).cookie_key().unwrap();
        assert_ne!(example, long);
        for secret in ["change_me_session", "change_me_and_forty_more_bytes_0123456789", &"x".repeat(32)] {
            assert!(with_secret(secret, false).cookie_key().is_err(), "{secret}");
        }
    }
}
