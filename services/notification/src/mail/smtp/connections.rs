use std::{
    fmt, fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
    commands::Rset,
    extension::ClientId,
};
use shop_runtime::config::ExposeSecret as _;
use tokio::time::Instant;

use super::super::{
    address::{Address, Security},
    unsent::Unsent,
};

/// How long an unused connection is kept. Servers close one after some minutes.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to a mail server that are open and not in use. lettre has a pool of its own, which hands on a connection that was left in the
/// middle of a dialogue when the task using it was dropped; the next mail would then read the replies to the one before.
pub(super) struct Connections {
    host: String,
    port: u16,
    security: Security,
    hello: ClientId,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    idle: Mutex<Vec<(Instant, AsyncSmtpConnection)>>,
}

impl Connections {
    pub(super) fn new(address: &Address, hello: &str) -> anyhow::Result<Self> {
        let login = address
            .login
            .as_ref()
            .map(|login| Credentials::new(login.user.clone(), login.password.expose_secret().to_owned()));
        Ok(Self {
            host: address.host.clone(),
            port: address.port,
            security: address.security,
            hello: ClientId::Domain(hello.to_owned()),
            tls: (address.security != Security::None).then(|| tls(address)).transpose()?,
            login,
            idle: Mutex::default(),
        })
    }

    /// Returns a connection on which a mail can be sent: one that was put back and still works, or else a new one.
    pub(super) async fn take(&self) -> Result<AsyncSmtpConnection, Unsent> {
        while let Some(mut connection) = self.pop() {
            // Whatever the last mail has left behind is forgotten, and a connection that the server has closed is noticed.
            if connection.command(Rset).await.is_ok() {
                return Ok(connection);
            }
        }
        self.connect().await.map_err(|error| Unsent::Away(error.to_string()))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
        shop_runtime::install_crypto();
        let implicit = self.tls.clone().filter(|_| self.security == Security::Implicit);
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, implicit, None).await?;
        if self.security == Security::StartTls
            && let Some(tls) = &self.tls
        {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(login) = &self.login {
            connection.auth(DEFAULT_MECHANISMS, login).await?;
        }
        Ok(connection)
    }

    pub(super) fn put_back(&self, connection: AsyncSmtpConnection) {
        self.idle().push((Instant::now(), connection));
    }

    /// Closes connections that have not been used for a while.
    pub(super) fn close_old(&self) {
        self.idle().retain(|(since, _)| since.elapsed() < IDLE);
    }

    fn pop(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        idle.retain(|(since, _)| since.elapsed() < IDLE);
        idle.pop().map(|(_, connection)| connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, AsyncSmtpConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls(address: &Address) -> anyhow::Result<TlsParameters> {
    shop_runtime::install_crypto();
    let mut builder = TlsParameters::builder(address.host.clone());
    if let Some(file) = &address.ca {
        let pem = fs::read(file).with_context(|| {
            format!("NOTIFICATION_MAIL_URL: the certificates in {} cannot be read", file.display())
        })?;
        let certificates = Certificate::from_pem(&pem).with_context(|| {
            format!("NOTIFICATION_MAIL_URL: {} contains no PEM certificates", file.display())
        })?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    builder.build().context("NOTIFICATION_MAIL_URL: TLS")
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.security)
    }
}
