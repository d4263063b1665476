use uuid::Uuid;

use super::{
    address::{MailUrl, Place},
    folder::Folder,
    sender::Sender,
    smtp::Server,
    unsent::Unsent,
};

/// Where mails go.
#[derive(Debug)]
pub(crate) enum Post {
    /// To a mail server.
    Server(Box<Server>),
    /// Into a folder, for demonstrations.
    Folder(Folder),
}

impl Post {
    /// Opens the place that `url` names, for mails from `sender`. Nothing is connected yet.
    ///
    /// # Errors
    /// The certificates cannot be read, or the folder cannot be made.
    pub(crate) fn open(url: &MailUrl, sender: &Sender) -> anyhow::Result<Self> {
        Ok(match &url.0 {
            Place::Server(address) => Self::Server(Box::new(Server::new(address, sender.domain())?)),
            Place::Folder(path) => Self::Folder(Folder::open(path)?),
        })
    }

    /// Sends a mail. Event `id` is what it is about: a folder keeps one mail for each event, however often it is sent.
    pub(crate) async fn send(&self, id: Uuid, mail: &lettre::Message) -> Result<(), Unsent> {
        match self {
            Self::Server(server) => server.send(mail).await,
            Self::Folder(folder) => {
                folder.put(id, &mail.formatted()).await.map_err(|error| Unsent::Away(error.to_string()))
            }
        }
    }

    /// Whether mails could be sent now.
    ///
    /// # Errors
    /// They could not; the error says why.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Server(server) => server.check().await,
            Self::Folder(folder) => folder.check().await,
        }
    }
}
