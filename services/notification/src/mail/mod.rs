//! E-mail: what a mail looks like on the wire, and where it goes, a mail server or a folder.

mod address;
mod folder;
mod message;
mod sender;
mod smtp;

use thiserror::Error;
use tokio::time::error::Elapsed;
use uuid::Uuid;

use self::{address::Place, smtp::Server};
pub use self::{
    address::{InvalidMailUrl, MailUrl},
    sender::{InvalidSender, Sender},
};
pub(crate) use self::{
    folder::{Folder, Mail, PAGE},
    message::compose,
};

/// Why a mail was not sent. No variant contains the password or the mail.
#[derive(Debug, Error)]
pub(crate) enum Unsent {
    /// The server refuses this recipient or this mail for good (RFC 5321: a reply of 5yz).
    #[error("the mail server refuses the mail: {0}")]
    Refused(String),
    /// This mail could not be sent now (a reply of 4yz), or it is unknown whether it was.
    #[error("the mail could not be sent: {0}")]
    NotNow(String),
    /// No mail could be sent now: the server is away, or refuses us rather than the mail.
    #[error("no mail can be sent: {0}")]
    Away(String),
}

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

impl From<Elapsed> for Unsent {
    fn from(_: Elapsed) -> Self {
        Self::NotNow("the mail server did not answer in time".to_owned())
    }
}
