//! The secrets of this shop: generated at the first start, and kept in a file that only its owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// The file's name in the data folder.
pub(crate) const FILE: &str = "secrets.json";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Signs the tokens.
    #[serde(serialize_with = "expose")]
    pub(crate) jwt_secret: SecretString,
    /// Encrypts the storefront's cookies.
    #[serde(serialize_with = "expose")]
    pub(crate) session_secret: SecretString,
    /// The admin's password.
    #[serde(serialize_with = "expose")]
    pub(crate) admin_password: SecretString,
    /// Seals guests' tokens on their way into the mails' links.
    #[serde(serialize_with = "expose", default = "key")]
    pub(crate) link_secret: SecretString,
    /// Signs the payment provider's webhooks.
    #[serde(serialize_with = "expose", default = "key")]
    pub(crate) webhook_secret: SecretString,
}

/// Secrets that files of earlier versions do not have.
const ADDED: [&str; 2] = ["link_secret", "webhook_secret"];

impl Secrets {
    /// Returns the secrets in `folder`; creates it with new secrets if it does not exist, and adds those that the file lacks.
    pub(crate) fn load_or_make(folder: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
        let file = folder.join(FILE);
        let doing = || format!("the secrets in {}", file.display());
        match fs::read(&file) {
            Ok(text) => {
                let mode = fs::metadata(&file).with_context(doing)?.permissions().mode();
                anyhow::ensure!(mode & 0o077 == 0, "{} can be read by others: chmod 600 it", file.display());
                let secrets: Self = serde_json::from_slice(&text).with_context(doing)?;
                let known: Map<String, Value> = serde_json::from_slice(&text).with_context(doing)?;
                if ADDED.iter().any(|name| !known.contains_key(*name)) {
                    secrets.write(&file).with_context(doing)?;
                }
                Ok(secrets)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secrets = Self::new();
                secrets.write(&file).with_context(doing)?;
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(doing),
        }
    }

    fn new() -> Self {
        Self {
            jwt_secret: key(),
            session_secret: key(),
            admin_password: random(12),
            link_secret: key(),
            webhook_secret: key(),
        }
    }

    /// Writes a new file and then renames it, so that a crash leaves no half-written file.
    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let beside = file.with_extension("new");
        let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        new.write_all(&serde_json::to_vec_pretty(self)?)?;
        new.sync_all()?;
        fs::rename(&beside, file)?;
        Ok(())
    }
}

fn key() -> SecretString {
    random(48)
}

/// `bytes` random bytes as text.
fn random(bytes: usize) -> SecretString {
    let random: Vec<u8> = std::iter::repeat_with(rand::random).take(bytes).collect();
    URL_SAFE_NO_PAD.encode(random).into()
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_and_only_their_owner_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = Secrets::load_or_make(&data).unwrap();
        let again = Secrets::load_or_make(&data).unwrap();
        assert_eq!(first.jwt_secret.expose_secret(), again.jwt_secret.expose_secret());
        assert_ne!(first.jwt_secret.expose_secret(), first.session_secret.expose_secret());
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.jwt_secret.expose_secret()));
    }

    #[test]
    fn a_file_of_an_earlier_version_keeps_its_secrets_and_gains_the_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let before = r#"{"jwt_secret": "a", "session_secret": "b", "admin_password": "c"}"#;
        fs::write(&file, before).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let read = || Secrets::load_or_make(folder.path()).unwrap();
        let (first, again) = (read(), read());
        let exposed = |secrets: &Secrets| {
            let all = [
                &secrets.jwt_secret,
                &secrets.session_secret,
                &secrets.admin_password,
                &secrets.link_secret,
                &secrets.webhook_secret,
            ];
            all.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(exposed(&first)[..3], ["a", "b", "c"]);
        assert_eq!(exposed(&first), exposed(&again), "what was added is kept");
        assert!(exposed(&first)[3].len() >= 64 && exposed(&first)[3] != exposed(&first)[4]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_broken_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        Secrets::load_or_make(folder.path()).unwrap();
        let file = folder.path().join(FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Secrets::load_or_make(folder.path()).is_err());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{").unwrap();
        assert!(Secrets::load_or_make(folder.path()).is_err());
    }
}
