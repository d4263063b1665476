//! A mail server that keeps what it is given: it speaks SMTP to a service, and lets a test refuse, delay and read the mails.
//!
//! It is as strict as a real one wherever a client can be wrong: the order of the commands, the login and encryption that it asks for, and dots at
//! the beginning of a line.

mod certificate;
mod rules;
mod security;
mod session;
mod shared;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    time::{Instant, timeout_at},
};

use self::shared::Shared;
pub use self::{
    certificate::TestCertificate,
    rules::{Rule, Step},
    security::Security,
    shared::Mail,
};

/// The server. It stops, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct MailSink {
    address: SocketAddr,
    security: Security,
    shared: Arc<Shared>,
    /// The server's own runtime, so that stopping it cuts open connections. `None` while it is away.
    runtime: Option<Runtime>,
}

impl MailSink {
    /// Starts a server without encryption on a free loopback port.
    ///
    /// # Panics
    /// No port is free.
    pub fn start() -> Self {
        Self::protected(Security::Clear)
    }

    /// Starts a server with this protection.
    ///
    /// # Panics
    /// No port is free, or the certificate cannot be used.
    pub fn protected(security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let runtime = Some(session::serve(listener, &security, Arc::clone(&shared)));
        Self { address, security, shared, runtime }
    }

    /// The port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes the port and all connections; the mails are kept.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Serves again on the same port as before [`MailSink::go_away`].
    ///
    /// # Panics
    /// Another process has taken the port.
    pub fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        self.runtime = Some(session::serve(listener, &self.security, Arc::clone(&self.shared)));
    }

    /// Asks for this login before a mail is accepted.
    pub fn require_login(&self, user: &str, password: &str) {
        self.shared.change(|state| state.login = Some((user.to_owned(), password.to_owned())));
    }

    /// Applies `rule` from now on, before rules that were added later.
    pub fn add(&self, rule: Rule) {
        self.shared.change(|state| state.rules.push(rule));
    }

    /// Returns the mails that were taken over, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.quietly(|state| state.mails.clone())
    }

    /// Returns how often somebody has tried to send to `recipient`, refused or not.
    pub fn attempts(&self, recipient: &str) -> usize {
        self.shared.quietly(|state| state.attempts.get(recipient).copied().unwrap_or_default())
    }

    /// Returns how many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.quietly(|state| state.connections)
    }

    /// Waits until `found` returns something, which it is asked again after every change.
    pub async fn wait<T>(&self, found: impl Fn(&Self) -> Option<T>, patience: Duration) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut changes = self.shared.changes();
        loop {
            if let Some(found) = found(self) {
                return Some(found);
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.go_away();
    }
}
