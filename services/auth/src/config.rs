use std::net::SocketAddr;

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::Args;
use jsonwebtoken::AlgorithmFamily;
use secrecy::{ExposeSecret, SecretString};
use shop_core::Email;
use shop_runtime::{
    auth::{MAX_LIFETIME_MINUTES, TokenConfig},
    config::{DatabaseUrl, RedisUrl, Secret},
};

use crate::{
    admin::Admin,
    domain::{NewPassword, Password, PasswordPolicy},
};

/// The environment variables of the authentication service.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "AUTH_LISTEN", default_value = "127.0.0.1:8001")]
    pub listen: SocketAddr,
    /// The database: postgresql://… (postgresql+asyncpg://… is the same) or sqlite:…
    #[arg(long, env = "AUTH_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// Where replicas count wrong passwords together: redis://…; with `memory:` each counts on its own
    #[arg(long, env = "AUTH_REDIS_URL", hide_env_values = true, default_value = "memory:")]
    pub redis_url: RedisUrl,
    /// Trust X-Forwarded-For, so that clients' logins can be told apart: set it only where all callers are proxies that set
    /// it themselves, such as the storefront
    #[arg(long, env = "AUTH_TRUST_PROXY", default_value_t = false, action = clap::ArgAction::Set)]
    pub trust_proxy: bool,
    /// Rules for new passwords: `basic` is 8 to 128 characters; `strict` also refuses passwords that are easy to guess
    #[arg(long, env = "AUTH_PASSWORD_POLICY", default_value = "basic", hide_possible_values = true)]
    pub password_policy: PasswordPolicy,
    /// How tokens are signed and verified.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// The private key of RS256, ES256 and EdDSA, as PEM; the public key is derived from it
    #[arg(long, env = "AUTH_JWT_PRIVATE_KEY", hide_env_values = true, help_heading = "Tokens")]
    pub jwt_private_key: Option<SecretString>,
    /// How long a token is valid, in minutes: 1 to 43200 (30 days)
    #[arg(
        long,
        env = "AUTH_JWT_EXPIRE_MINUTES",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIFETIME_MINUTES)),
        help_heading = "Tokens"
    )]
    pub jwt_expire_minutes: u32,
    /// The account that manages the shop: created at start, or made admin, with the password below
    #[arg(long, env = "AUTH_ADMIN_EMAIL", help_heading = "Admin")]
    pub admin_email: Option<Email>,
    /// Its password, 8 to 128 characters; set at every start
    #[arg(long, env = "AUTH_ADMIN_PASSWORD", hide_env_values = true, help_heading = "Admin")]
    pub admin_password: Option<SecretString>,
}

/// Only that it is not the example is checked here; the password rules check the rest.
const ADMIN_PASSWORD: Secret =
    Secret { variable: "AUTH_ADMIN_PASSWORD", example: Some("change_me_admin"), least: None };

impl Config {
    /// What every replica knows and nobody else does: the key that signs tokens.
    pub(crate) fn shared_secret(&self) -> anyhow::Result<&str> {
        let key = match self.tokens.jwt_algorithm.family() {
            AlgorithmFamily::Hmac => &self.tokens.jwt_secret,
            _ => &self.jwt_private_key,
        };
        key.as_ref().map(ExposeSecret::expose_secret).context("there is no key that signs tokens")
    }

    pub(crate) fn token_lifetime(&self) -> TimeDelta {
        TimeDelta::minutes(self.jwt_expire_minutes.into())
    }

    /// The admin account, if one is configured.
    pub(crate) fn admin(&self) -> anyhow::Result<Option<Admin>> {
        match (&self.admin_email, &self.admin_password) {
            (Some(email), Some(password)) => {
                ADMIN_PASSWORD.check(password, self.tokens.demo)?;
                let password = NewPassword::try_from(Password::from(password.expose_secret()))
                    .and_then(|password| self.password_policy.check(&password, email).map(|()| password))
                    .map_err(|error| anyhow::anyhow!("AUTH_ADMIN_PASSWORD: {error}"))?;
                Ok(Some(Admin { email: email.clone(), password }))
            }
            (None, None) => Ok(None),
            _ => {
                anyhow::bail!("AUTH_ADMIN_EMAIL and AUTH_ADMIN_PASSWORD belong together: set both or neither")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        let always = ["auth", "--database-url", "sqlite::memory:"];
        Cli::try_parse_from(always.iter().chain(arguments)).map(|cli| cli.config)
    }

    #[test]
    fn an_admin_needs_both_halves_and_a_real_password() {
        let admin = |arguments: &[&str]| parse(arguments).unwrap().admin();
        assert!(admin(&[]).unwrap().is_none());
        assert!(
            admin(&["--admin-email", "a@example.com", "--admin-password", "password123"]).unwrap().is_some()
        );
        insta::assert_snapshot!(
            admin(&["--admin-email", "a@example.com"]).unwrap_err(),
            @"AUTH_ADMIN_EMAIL and AUTH_ADMIN_PASSWORD belong together: set both or neither"
        );
        insta::assert_snapshot!(
            admin(&["--admin-email", "a@example.com", "--admin-password", "short"]).unwrap_err(),
            @"AUTH_ADMIN_PASSWORD: a password must have 8 to 128 characters and no NUL"
        );
        let weak = ["--admin-email", "a@example.com", "--admin-password", "password123"];
        insta::assert_snapshot!(
            admin(&[&weak[..], &["--password-policy", "strict"]].concat()).unwrap_err(),
            @"AUTH_ADMIN_PASSWORD: this password is easy to guess; choose another one"
        );
    }

    #[test]
    fn the_documentations_password_is_for_a_demonstration_alone() {
        let admin = |password: &str, more: &[&str]| {
            let arguments = ["--admin-email", "a@example.com", "--admin-password", password];
            parse(&[&arguments, more].concat()).unwrap().admin()
        };
        assert!(admin("change_me_admin", &["--demo", "true"]).is_ok());
        let told = admin("change_me_admin", &[]).unwrap_err().to_string();
        assert!(told.starts_with("AUTH_ADMIN_PASSWORD is the documentation's example"), "{told}");
        assert!(admin("change_me_2", &["--demo", "true"]).is_err());
    }

    #[test]
    fn a_lifetime_is_between_a_minute_and_a_month() {
        assert_eq!(parse(&[]).unwrap().token_lifetime(), TimeDelta::hours(1));
        for minutes in ["0", "43201", "-5", "soon"] {
            assert!(parse(&["--jwt-expire-minutes", minutes]).is_err(), "{minutes}");
        }
    }

    #[test]
    fn debug_tells_no_secret() {
        let config = parse(&[
            "--jwt-secret",
            "a-secret-of-tokens",
            "--jwt-private-key",
            "a-secret-key",
            "--admin-password",
            "a-secret-password",
            "--redis-url",
            "redis://:a-secret-of-redis@redis/0",
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(!shown.contains("a-secret"), "{shown}");
    }

    #[test]
    fn help_lists_every_variable() {
        let command = Cli::command();
        let help: Vec<_> = command
            .get_arguments()
            .map(|argument| {
                let name = argument.get_env().unwrap_or_default().to_string_lossy();
                format!("{name}: {}", argument.get_help().map(ToString::to_string).unwrap_or_default())
            })
            .collect();
        insta::assert_snapshot!(help.join("\n"), @"
        AUTH_LISTEN: Where to listen
        AUTH_DATABASE_URL: The database: postgresql://… (postgresql+asyncpg://… is the same) or sqlite:…
        AUTH_REDIS_URL: Where replicas count wrong passwords together: redis://…; with `memory:` each counts on its own
        AUTH_TRUST_PROXY: Trust X-Forwarded-For, so that clients' logins can be told apart: set it only where all callers are proxies that set it themselves, such as the storefront
        AUTH_PASSWORD_POLICY: Rules for new passwords: `basic` is 8 to 128 characters; `strict` also refuses passwords that are easy to guess
        AUTH_JWT_ALGORITHM: The one algorithm that is accepted: HS256, HS384, HS512, RS256, ES256 or EdDSA
        AUTH_JWT_SECRET: The shared secret of the HS algorithms, at least as long as the hash (32, 48 or 64 bytes)
        AUTH_JWT_PUBLIC_KEY: The public key of the other algorithms, as PEM
        AUTH_JWT_OTHER_SECRET: Another secret whose tokens are accepted, while secrets are rotated; nothing is signed with it
        AUTH_JWT_OTHER_PUBLIC_KEY: Another public key whose tokens are accepted, as PEM, while keys are rotated
        SHOP_DEMO: `true`: this is a demonstration that nobody else can reach, and may use the documentation's example secrets
        AUTH_JWT_PRIVATE_KEY: The private key of RS256, ES256 and EdDSA, as PEM; the public key is derived from it
        AUTH_JWT_EXPIRE_MINUTES: How long a token is valid, in minutes: 1 to 43200 (30 days)
        AUTH_ADMIN_EMAIL: The account that manages the shop: created at start, or made admin, with the password below
        AUTH_ADMIN_PASSWORD: Its password, 8 to 128 characters; set at every start
        ");
    }
}
