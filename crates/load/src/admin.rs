use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use shop_client::{Auth, Failure, OnBehalf};
use shop_core::Email;
use shop_runtime::config::{ExposeSecret as _, SecretString};

/// Who may read the shop's books, and restock it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The administrator")]
pub struct Admin {
    /// The account that manages the shop
    #[arg(long, env = "AUTH_ADMIN_EMAIL", default_value = "admin@example.com")]
    pub admin_email: Email,
    /// Its password; without it, the one that `cargo run` has written into the file of its secrets is used
    #[arg(long, env = "AUTH_ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<SecretString>,
    /// The file of `cargo run`'s secrets
    #[arg(long, env = "LOAD_SECRETS", default_value = ".shop/secrets.json")]
    pub secrets: PathBuf,
}

#[derive(Deserialize)]
struct Secrets {
    admin_password: SecretString,
}

impl Admin {
    /// The password: the given one, or that of the shop that `cargo run` has opened in this folder.
    ///
    /// # Errors
    /// There is neither.
    pub(crate) fn password(&self) -> anyhow::Result<SecretString> {
        if let Some(password) = &self.admin_password {
            return Ok(password.clone());
        }
        let file = self.secrets.display();
        match fs::read(&self.secrets) {
            Ok(text) => {
                let secrets: Secrets = serde_json::from_slice(&text).with_context(|| file.to_string())?;
                Ok(secrets.admin_password)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => anyhow::bail!(
                "AUTH_ADMIN_PASSWORD is not set, and there is no {file}, in which `cargo run` keeps one"
            ),
            Err(error) => Err(error).with_context(|| file.to_string()),
        }
    }

    /// Logs in; returns the access token.
    pub(crate) async fn log_in(&self, auth: &Auth, password: &SecretString) -> Result<String, Failure> {
        let token = auth.log_in(&self.admin_email, password.expose_secret(), OnBehalf::OURSELVES).await?;
        Ok(token.access_token.expose_secret().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_given_one_or_that_of_cargo_run() {
        let folder = std::env::temp_dir().join(format!("load-secrets-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut admin = Admin {
            admin_email: "admin@example.com".parse().unwrap(),
            admin_password: None,
            secrets: folder.join("secrets.json"),
        };
        assert!(admin.password().unwrap_err().to_string().starts_with("AUTH_ADMIN_PASSWORD is not set"));
        fs::write(&admin.secrets, r#"{"jwt_secret":"x","admin_password":"generated"}"#).unwrap();
        assert_eq!(admin.password().unwrap().expose_secret(), "generated");
        admin.admin_password = Some(SecretString::from("given"));
        assert_eq!(admin.password().unwrap().expose_secret(), "given");
        fs::remove_dir_all(folder).unwrap();
    }
}
