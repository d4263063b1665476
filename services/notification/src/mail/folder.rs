use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use mail_parser::MessageParser;
use tokio::{fs, io::AsyncWriteExt as _, task::spawn_blocking};
use uuid::Uuid;

/// How many mails a list shows.
pub(crate) const PAGE: usize = 100;

/// The largest file that is read: a mail of ours has a few kilobytes.
const LARGEST: u64 = 1024 * 1024;

const EXTENSION: &str = "eml";

/// A folder of mails, a file for each, named by the event that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// A mail in the folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The event's id, which is the file's name.
    pub(crate) id: Uuid,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) date: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Folder {
    /// Opens the folder, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("the folder for mails, {}, cannot be made", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    fn file(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("{id}.{EXTENSION}"))
    }

    /// Writes a mail: whole, or not at all.
    pub(super) async fn put(&self, id: Uuid, mail: &[u8]) -> io::Result<()> {
        let unfinished = self.0.join(format!("{id}.unfinished"));
        let mut file = fs::File::create(&unfinished).await?;
        file.write_all(mail).await?;
        file.sync_all().await?;
        fs::rename(unfinished, self.file(id)).await
    }

    /// Whether it is there.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let metadata = fs::metadata(&self.0).await.context("the folder for mails")?;
        anyhow::ensure!(metadata.is_dir(), "the place for mails is not a folder");
        Ok(())
    }

    /// Returns the newest mails that are older than `before`, at most [`PAGE`].
    pub(crate) async fn list(&self, before: Option<Uuid>) -> anyhow::Result<Vec<Mail>> {
        let folder = self.clone();
        spawn_blocking(move || -> anyhow::Result<Vec<Mail>> {
            let mut ids: Vec<Uuid> = std::fs::read_dir(&folder.0)?
                .filter_map(|entry| id(&entry.ok()?.path()))
                .filter(|id| before.is_none_or(|before| *id < before))
                .collect();
            // The ids of events are UUIDv7, so the newest is the greatest.
            ids.sort_unstable_by(|one, other| other.cmp(one));
            Ok(ids.into_iter().take(PAGE).filter_map(|id| folder.read(id)).collect())
        })
        .await?
    }

    /// Returns mail `id`; `None` if there is none, or it cannot be read.
    pub(crate) async fn mail(&self, id: Uuid) -> anyhow::Result<Option<Mail>> {
        let folder = self.clone();
        Ok(spawn_blocking(move || folder.read(id)).await?)
    }

    fn read(&self, id: Uuid) -> Option<Mail> {
        let file = self.file(id);
        let metadata = std::fs::symlink_metadata(&file).ok()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let bytes = std::fs::read(file).ok()?;
        let mail = MessageParser::default().parse(&bytes)?;
        let address = |address: Option<&mail_parser::Address<'_>>| {
            let address = address.and_then(mail_parser::Address::first).and_then(|one| one.address());
            address.unwrap_or_default().to_owned()
        };
        Some(Mail {
            id,
            from: address(mail.from()),
            to: address(mail.to()),
            subject: mail.subject().unwrap_or_default().to_owned(),
            date: mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
            text: mail.body_text(0).unwrap_or_default().into_owned(),
            html: mail.body_html(0).unwrap_or_default().into_owned(),
        })
    }
}

/// The event whose mail the file is; `None` for any other file.
fn id(path: &Path) -> Option<Uuid> {
    let stem = path.file_stem()?.to_str()?;
    let id = Uuid::try_parse(stem).ok()?;
    (path.extension()? == EXTENSION && id.to_string() == stem).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str) -> Vec<u8> {
        format!("From: shop@example.com\r\nTo: user@example.com\r\nSubject: {subject}\r\n\r\nHello")
            .into_bytes()
    }

    #[tokio::test]
    async fn mails_are_listed_newest_first_and_other_files_are_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(&place.path().join("new/mails")).unwrap();
        for number in 1..=PAGE + 2 {
            let id = Uuid::from_u128(number as u128);
            folder.put(id, &mail(&number.to_string())).await.unwrap();
            folder.put(id, &mail(&number.to_string())).await.unwrap();
        }
        for name in ["notes.txt", "x.eml", "00000000-0000-0000-0000-000000000009.unfinished"] {
            std::fs::write(folder.0.join(name), mail("none")).unwrap();
        }
        let first = folder.list(None).await.unwrap();
        assert_eq!((first.len(), first[0].subject.as_str()), (PAGE, "102"));
        let rest = folder.list(Some(first[PAGE - 1].id)).await.unwrap();
        let subjects: Vec<_> = rest.iter().map(|mail| mail.subject.as_str()).collect();
        assert_eq!(subjects, ["2", "1"]);
        assert_eq!(folder.mail(first[0].id).await.unwrap().unwrap().text.trim(), "Hello");
        assert_eq!(folder.mail(Uuid::from_u128(1000)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_not_a_file_of_a_mails_size_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let id = Uuid::from_u128(1);
        std::os::unix::fs::symlink("/etc/hostname", folder.file(id)).unwrap();
        assert_eq!(folder.mail(id).await.unwrap(), None);
        std::fs::remove_file(folder.file(id)).unwrap();
        std::fs::write(folder.file(id), vec![b'x'; 2 * LARGEST as usize]).unwrap();
        assert_eq!(folder.mail(id).await.unwrap(), None);
        folder.check().await.unwrap();
        std::fs::remove_dir_all(place.path()).unwrap();
        assert!(folder.check().await.is_err());
    }
}
