//! An address in a file, such as a mounted Secret, that is read again when it changes: a rotated password, another server.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{DatabaseUrl, variables::contents};

/// How often the file is checked. It is read completely: Kubernetes swaps links, and the time stamp may stay the same.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Passes each new address in the file of `url` to `apply`, until `stopping`. Does nothing if the address did not come from a file. An address that
/// cannot be read or used changes nothing, and is logged once.
///
/// # Errors
/// None: it is a task of a service's lifecycle.
pub async fn follow(
    url: DatabaseUrl,
    apply: impl Fn(&DatabaseUrl) -> anyhow::Result<()>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let Some(mut followed) = Followed::new(url) else { return Ok(()) };
    while stopping.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        // In the blocking pool it would be a task that nobody can cancel; a Secret is in memory, so reading it is fast.
        let Some(url) = followed.look() else { continue };
        match apply(&url) {
            Ok(()) => {
                url.warn();
                tracing::info!(database = ?url, file = %followed.file.display(), "the database's address was reloaded");
            }
            Err(error) => tracing::warn!(
                file = %followed.file.display(),
                error = format!("{error:#}"),
                "the database's new address cannot be used"
            ),
        }
    }
    Ok(())
}

struct Followed {
    url: DatabaseUrl,
    file: Arc<Path>,
    /// The last problem, so that it is logged only once.
    trouble: Option<String>,
}

impl Followed {
    fn new(url: DatabaseUrl) -> Option<Self> {
        let file = url.file()?.into();
        Some(Self { url, file, trouble: None })
    }

    /// Returns the address in the file if it has changed.
    fn look(&mut self) -> Option<DatabaseUrl> {
        let read = contents(&self.file).and_then(|text| Ok(text.parse::<DatabaseUrl>()?));
        match read {
            Ok(url) => {
                self.trouble = None;
                let url = url.from_file(self.file.clone());
                if url == self.url {
                    return None;
                }
                self.url = url.clone();
                Some(url)
            }
            Err(error) => {
                let trouble = format!("{error:#}");
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        file = %self.file.display(),
                        error = trouble,
                        "the file with the database's address cannot be used; the previous address stays in use"
                    );
                    self.trouble = Some(trouble);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn url(password: &str) -> String {
        format!("postgresql://shop:{password}@db/shop\n")
    }

    #[test]
    fn a_file_that_changes_in_any_way_is_read_anew_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // As Kubernetes mounts a Secret: uri -> ..data/uri, and ..data -> a folder that never changes.
        for (version, password) in [("1", "one"), ("2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("uri"), url(password)).unwrap();
        }
        symlink("1", at("..data")).unwrap();
        symlink("..data/uri", at("uri")).unwrap();
        let first: DatabaseUrl = url("one").parse().unwrap();
        let mut followed = Followed::new(first.from_file(at("uri").into())).unwrap();
        assert_eq!(followed.look(), None);

        symlink("2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        let expose = |url: Option<DatabaseUrl>| url.map(|url| url.expose().to_owned());
        assert_eq!(expose(followed.look()).as_deref(), Some("postgres://shop:two@db/shop"));
        assert_eq!(followed.look(), None);

        for broken in ["", "\n", "mysql://db", "postgresql://shop:thr/ee@db"] {
            fs::write(at("2").join("uri"), broken).unwrap();
            assert_eq!(followed.look(), None, "{broken}");
        }
        fs::remove_file(at("2").join("uri")).unwrap();
        assert_eq!(followed.look(), None);
        fs::write(at("2").join("uri"), url("four")).unwrap();
        assert_eq!(expose(followed.look()).as_deref(), Some("postgres://shop:four@db/shop"));
    }

    #[test]
    fn an_address_of_the_environment_is_not_followed() {
        assert!(Followed::new(url("one").parse().unwrap()).is_none());
    }
}
