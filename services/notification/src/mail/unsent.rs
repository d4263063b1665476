use thiserror::Error;
use tokio::time::error::Elapsed;

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

impl From<Elapsed> for Unsent {
    fn from(_: Elapsed) -> Self {
        Self::NotNow("the mail server did not answer in time".to_owned())
    }
}
