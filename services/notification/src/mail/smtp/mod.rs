//! A mail server, to which mails are handed over by SMTP.

mod connections;
mod transfer;

use std::{fmt, time::Duration};

use lettre::Message;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use self::connections::Connections;
use super::{address::Address, unsent::Unsent};

/// How many mails are handed over at once. Mail servers dislike many connections of one client.
const AT_ONCE: usize = 2;

/// How long a check of the server counts: it is asked for at every probe.
const CHECK_COUNTS: Duration = Duration::from_secs(15);

/// How long the steps of sending may take. Together they are shorter than a service may take to stop (25 seconds).
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until one of the connections is free.
    turn: Duration,
    /// Until the server has greeted us and accepted the login.
    connect: Duration,
    /// Until the server has taken over the mail.
    transfer: Duration,
}

impl Patience {
    const DEFAULT: Self = Self {
        turn: Duration::from_secs(2),
        connect: Duration::from_secs(6),
        transfer: Duration::from_secs(15),
    };
}

/// The mail server.
pub(crate) struct Server {
    connections: Connections,
    turns: Semaphore,
    patience: Patience,
    checked: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Server {
    /// The server at `address`, which is told the name `hello`. Nothing is connected yet.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn new(address: &Address, hello: &str) -> anyhow::Result<Self> {
        Ok(Self {
            connections: Connections::new(address, hello)?,
            turns: Semaphore::new(AT_ONCE),
            patience: Patience::DEFAULT,
            checked: Mutex::default(),
        })
    }

    /// Hands a mail over. An error says whether it may have been taken over all the same.
    pub(super) async fn send(&self, mail: &Message) -> Result<(), Unsent> {
        let busy = |_| Unsent::Away("the mail server is too slow: every connection is in use".to_owned());
        let _turn = timeout(self.patience.turn, self.turns.acquire()).await.map_err(busy)?;
        let late = |_| Unsent::Away("the mail server does not answer in time".to_owned());
        let connecting = timeout(self.patience.connect, self.connections.take()).await;
        let mut connection = connecting.map_err(late)??;
        // If this is cut short, the connection is closed: nobody knows which command its next reply would be for.
        let outcome = timeout(self.patience.transfer, transfer::hand_over(&mut connection, mail)).await;
        let outcome = outcome.unwrap_or_else(|late| Err(late.into()));
        if !connection.has_broken() && !matches!(outcome, Err(Unsent::NotNow(_) | Unsent::Away(_))) {
            self.connections.put_back(connection);
        }
        outcome
    }

    /// Whether the server greets us and accepts the login. While mails are being sent, they show it.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let mut checked = self.checked.lock().await;
        if let Some((at, outcome)) = &*checked
            && at.elapsed() < CHECK_COUNTS
        {
            return outcome.clone().map_err(anyhow::Error::msg);
        }
        let Ok(_turn) = self.turns.try_acquire() else { return Ok(()) };
        self.connections.close_old();
        let outcome = match self.connections.take().await {
            Ok(connection) => {
                self.connections.put_back(connection);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        *checked = Some((Instant::now(), outcome.clone()));
        outcome.map_err(anyhow::Error::msg)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.connections).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
