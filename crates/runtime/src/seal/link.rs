use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::Envelope;
use crate::config::{Demo, Secret};

const SECRET: Secret = Secret {
    variable: "ORDER_LINK_SECRET",
    example: Some("change_me_link"),
    least: Some((32, "the links in guests' mails open their orders")),
};

/// The secret that the order service and the notification service share: with it, the token of a guest's order travels in the
/// event that announces the order, and only the mail's link shows it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Links in mails")]
pub struct LinkConfig {
    /// The secret, at least 32 bytes, that hides the tokens of guests' orders on their way into the links of mails; the same for the
    /// order service and the notification service; unset: guests' mails have no link
    #[arg(
        id = "order_link_secret",
        long = "order-link-secret",
        env = "ORDER_LINK_SECRET",
        hide_env_values = true
    )]
    pub secret: Option<SecretString>,
}

impl LinkConfig {
    /// Seals or opens the tokens of guests' orders, with the order's id, as text, as the context. `None` without a secret.
    ///
    /// # Errors
    /// The secret is too short, or can be guessed; the documentation's example is accepted only in a demonstration.
    pub fn envelope(&self, demo: Demo) -> anyhow::Result<Option<Envelope>> {
        let Some(secret) = &self.secret else { return Ok(None) };
        SECRET.check(secret, demo)?;
        Envelope::new("order token", secret.expose_secret().as_bytes()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(secret: &str, is_on: bool) -> anyhow::Result<Option<Envelope>> {
        LinkConfig { secret: Some(secret.into()) }.envelope(Demo { is_on })
    }

    #[test]
    fn a_weak_secret_is_refused_and_none_is_none() {
        assert!(LinkConfig::default().envelope(Demo::default()).unwrap().is_none());
        assert!(envelope("4f1c0b7e9d2a4c558861b0d3f7a9e6c2", false).unwrap().is_some());
        assert!(envelope("change_me_link", true).unwrap().is_some());
        for (weak, demo) in [("change_me_link", false), ("short", true)] {
            let error = envelope(weak, demo).unwrap_err().to_string();
            assert!(error.starts_with("ORDER_LINK_SECRET "), "{error}");
        }
    }
}
