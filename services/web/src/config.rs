use std::net::SocketAddr;

use clap::Args;
use cookie::Key;
use sha2::{Digest as _, Sha512};
use shop_runtime::config::{ExposeSecret as _, SecretString};
use url::Url;

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
    #[arg(long, env = "WEB_AUTH_URL", value_parser = parse_upstream)]
    pub auth_url: Url,
    /// Where catalog_service is
    #[arg(long, env = "WEB_CATALOG_URL", value_parser = parse_upstream)]
    pub catalog_url: Url,
    /// Where order_service is
    #[arg(long, env = "WEB_ORDER_URL", value_parser = parse_upstream)]
    pub order_url: Url,
    /// Believe X-Forwarded-Proto, -Host and -Port, or Forwarded: set it only behind a proxy that writes them itself
    #[arg(long, env = "WEB_TRUST_PROXY", default_value_t = false, action = clap::ArgAction::Set)]
    pub trust_proxy: bool,
}

/// Reads the address of a service.
fn parse_upstream(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("expected an http:// or https:// address".to_owned())
    }
}

/// The shortest secret that is accepted, in bytes: 256 bits, what the cipher's key has.
const SHORTEST_SECRET: usize = 32;

impl Config {
    /// The key of the cookies. Any length of secret is stretched to what the key derivation takes.
    ///
    /// # Errors
    /// A secret below 32 bytes. The documentation's `change_me…` example is accepted, with a warning, because the
    /// example must run.
    pub(crate) fn cookie_key(&self) -> anyhow::Result<Key> {
        let secret = self.session_secret.expose_secret();
        if secret.starts_with("change_me") {
            tracing::warn!(
                "WEB_SESSION_SECRET is an example from the documentation: anyone can make sessions. Change it"
            );
        } else if secret.len() < SHORTEST_SECRET {
            anyhow::bail!("WEB_SESSION_SECRET has {} bytes and needs {SHORTEST_SECRET}", secret.len());
        }
        Ok(Key::derive_from(&Sha512::digest(secret.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secret(secret: &str) -> Config {
        let away: Url = "http://127.0.0.1:9".parse().unwrap();
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            session_secret: secret.to_owned().into(),
            auth_url: away.clone(),
            catalog_url: away.clone(),
            order_url: away,
            trust_proxy: false,
        }
    }

    #[test]
    fn a_short_secret_is_refused_without_telling_it() {
        let error = with_secret("s3cret").cookie_key().unwrap_err().to_string();
        assert_eq!(error, "WEB_SESSION_SECRET has 6 bytes and needs 32");
    }

    #[test]
    fn the_specifications_example_and_a_long_secret_are_accepted() {
        let example = with_secret("change_me_session").cookie_key().unwrap();
        let long = with_secret(&"x".repeat(32)).cookie_key().unwrap();
        assert_ne!(example, long);
    }

    #[test]
    fn only_http_addresses_are_upstreams() {
        assert!(parse_upstream("http://auth_service:8000").is_ok());
        for text in ["auth_service:8000", "ftp://auth", "file:///etc/passwd", ""] {
            assert!(parse_upstream(text).is_err(), "{text}");
        }
    }
}
