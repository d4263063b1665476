//! SMTP (RFC 5321), the server's side, with STARTTLS (RFC 3207) and AUTH (RFC 4954).

use std::{io, net::TcpListener, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsAcceptor;

use super::{
    rules::Step,
    security::Security,
    shared::{Mail, Shared},
};

/// The longest line and the largest mail, so that a client that never ends one is noticed.
const LONGEST_LINE: usize = 4096;
const LARGEST_MAIL: usize = 1024 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// How the connections are protected, with the certificate loaded.
#[derive(Clone)]
enum Protection {
    None,
    StartTls(TlsAcceptor),
    Implicit(TlsAcceptor),
}

/// Serves in a separate runtime.
pub(super) fn serve(listener: TcpListener, security: &Security, shared: Arc<Shared>) -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let protection = match security {
        Security::Clear => Protection::None,
        Security::StartTls(certificate) => Protection::StartTls(certificate.acceptor()),
        Security::Implicit(certificate) => Protection::Implicit(certificate.acceptor()),
    };
    // The sessions end with the runtime.
    let sessions = runtime.handle().clone();
    runtime.spawn(async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        while let Ok((stream, _)) = listener.accept().await {
            shared.change(|state| state.connections += 1);
            // A client that goes away ends its session with an error.
            sessions.spawn(session(stream, protection.clone(), Arc::clone(&shared)));
        }
    });
    runtime
}

async fn session(stream: TcpStream, protection: Protection, shared: Arc<Shared>) -> io::Result<()> {
    let (stream, upgrade): (Box<dyn Stream>, _) = match &protection {
        Protection::None => (Box::new(stream), None),
        Protection::StartTls(acceptor) => (Box::new(stream), Some(acceptor.clone())),
        Protection::Implicit(acceptor) => (Box::new(acceptor.accept(stream).await?), None),
    };
    let encrypted = matches!(protection, Protection::Implicit(_));
    let mut session = Session {
        stream: BufReader::new(stream),
        upgrade,
        encrypted,
        user: None,
        envelope: Envelope::default(),
        shared,
    };
    session.reply("220 localhost ESMTP").await?;
    while session.command().await? {}
    Ok(())
}

#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Option<String>,
}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    /// For STARTTLS, until it is used.
    upgrade: Option<TlsAcceptor>,
    encrypted: bool,
    user: Option<String>,
    envelope: Envelope,
    shared: Arc<Shared>,
}

impl Session {
    async fn reply(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// A line without its end, which must be CRLF.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(text) if text.len() <= LONGEST_LINE => Ok(text.to_owned()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Carries out the next command; `false` after the last.
    async fn command(&mut self) -> io::Result<bool> {
        let line = self.line().await?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (verb.to_ascii_uppercase().as_str(), rest) {
            ("EHLO", name) if !name.is_empty() => self.greet().await?,
            ("STARTTLS", "") => return self.start_tls().await,
            ("AUTH", rest) => self.log_in(rest).await?,
            ("MAIL", rest) => self.sender(rest).await?,
            ("RCPT", rest) => self.recipient(rest).await?,
            ("DATA", "") => self.data().await?,
            ("RSET", "") => {
                self.envelope = Envelope::default();
                self.reply("250 2.0.0 Ok").await?;
            }
            ("NOOP", _) => self.reply("250 2.0.0 Ok").await?,
            ("QUIT", "") => {
                self.reply("221 2.0.0 Bye").await?;
                return Ok(false);
            }
            _ => self.reply("500 5.5.2 Unknown command").await?,
        }
        Ok(true)
    }

    async fn greet(&mut self) -> io::Result<()> {
        let wants_login = self.shared.quietly(|state| state.login.is_some());
        self.reply("250-localhost").await?;
        if self.upgrade.is_some() {
            self.reply("250-STARTTLS").await?;
        }
        if wants_login && self.upgrade.is_none() {
            self.reply("250-AUTH PLAIN").await?;
        }
        self.reply("250 ENHANCEDSTATUSCODES").await
    }

    async fn start_tls(&mut self) -> io::Result<bool> {
        let Some(acceptor) = self.upgrade.take() else {
            self.reply("502 5.5.1 There is no STARTTLS here").await?;
            return Ok(true);
        };
        self.reply("220 2.0.0 Go ahead").await?;
        // Commands that were sent in clear, to be carried out as if they were encrypted, are an attack.
        if !self.stream.buffer().is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (placeholder, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.stream, BufReader::new(Box::new(placeholder)));
        self.stream = BufReader::new(Box::new(acceptor.accept(plain.into_inner()).await?));
        self.encrypted = true;
        Ok(true)
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        let given = rest.strip_prefix("PLAIN ").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let given = given.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let wanted = self.shared.quietly(|state| state.login.clone());
        match wanted {
            Some((user, password)) if given == format!("\0{user}\0{password}") => {
                self.user = Some(user);
                self.reply("235 2.7.0 Welcome").await
            }
            _ => self.reply("535 5.7.8 Wrong user or password").await,
        }
    }

    async fn sender(&mut self, rest: &str) -> io::Result<()> {
        let wants_login = self.shared.quietly(|state| state.login.is_some());
        let Some(from) = path(rest, "FROM:") else {
            return self.reply("501 5.5.4 MAIL FROM:<address>").await;
        };
        if self.upgrade.is_some() {
            return self.reply("530 5.7.0 Must issue a STARTTLS command first").await;
        }
        if wants_login && self.user.is_none() {
            return self.reply("530 5.7.0 Authentication required").await;
        }
        if self.envelope.from.is_some() {
            return self.reply("503 5.5.1 There is a sender already").await;
        }
        if let Some(refusal) = self.judged(Step::Sender, "").await {
            return self.reply(refusal).await;
        }
        self.envelope.from = Some(from);
        self.reply("250 2.1.0 Ok").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        let Some(to) = path(rest, "TO:") else { return self.reply("501 5.5.4 RCPT TO:<address>").await };
        if self.envelope.from.is_none() || self.envelope.to.is_some() {
            return self.reply("503 5.5.1 One sender, then one recipient").await;
        }
        self.shared.change(|state| *state.attempts.entry(to.clone()).or_default() += 1);
        if let Some(refusal) = self.judged(Step::Recipient, &to).await {
            return self.reply(refusal).await;
        }
        self.envelope.to = Some(to);
        self.reply("250 2.1.5 Ok").await
    }

    async fn data(&mut self) -> io::Result<()> {
        let (Some(from), Some(to)) = (self.envelope.from.take(), self.envelope.to.take()) else {
            return self.reply("503 5.5.1 No recipient").await;
        };
        self.reply("354 End with a dot").await?;
        let mut content = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push_str("\r\n");
            if content.len() > LARGEST_MAIL {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let (encrypted, user) = (self.encrypted, self.user.clone());
        let (pause, refusal) = self.shared.quietly(|state| state.judge(Step::Taken, &to));
        if refusal.is_none() {
            self.shared.change(|state| state.mails.push(Mail { from, to, content, encrypted, user }));
        }
        tokio::time::sleep(pause).await;
        self.reply(refusal.unwrap_or("250 2.0.0 Taken over")).await
    }

    /// The reply of a rule that applies, after its pause.
    async fn judged(&self, step: Step, recipient: &str) -> Option<&'static str> {
        let (pause, refusal) = self.shared.quietly(|state| state.judge(step, recipient));
        tokio::time::sleep(pause).await;
        refusal
    }
}

/// The address in `FROM:<address>`.
fn path(text: &str, prefix: &str) -> Option<String> {
    let (found, rest) = text.split_at_checked(prefix.len())?;
    let address = rest.split(' ').next()?.strip_prefix('<')?.strip_suffix('>')?;
    (found.eq_ignore_ascii_case(prefix) && address.contains('@')).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_address_in_angle_brackets() {
        assert_eq!(path("FROM:<a@b.c>", "FROM:").as_deref(), Some("a@b.c"));
        assert_eq!(path("to:<a@b.c> NOTIFY=NEVER", "TO:").as_deref(), Some("a@b.c"));
        for wrong in ["", "FROM:", "FROM:a@b.c", "FROM:<a>", "FROM: <a@b.c>", "TO:<a@b.c>"] {
            assert_eq!(path(wrong, "FROM:"), None, "{wrong}");
        }
    }
}
