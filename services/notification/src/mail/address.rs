use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use percent_encoding::percent_decode_str;
use shop_runtime::config::{ExposeSecret as _, SecretString, redacted};
use thiserror::Error;
use url::Url;

/// Where mails go: to a mail server (`smtp://…`, `smtps://…`) or into a folder (`folder:<path>`). Never shown with its password.
#[derive(Clone)]
pub struct MailUrl(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Server(Address),
    Folder(PathBuf),
}

/// The address of a mail server.
#[derive(Clone)]
pub(super) struct Address {
    /// The whole address, for `Debug`.
    text: SecretString,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    /// The certificate authorities that are trusted instead of the system's.
    pub(super) ca: Option<PathBuf>,
    pub(super) login: Option<Login>,
}

/// A user name and its password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// STARTTLS (RFC 3207); a server without it gets no mail.
    StartTls,
    /// Not at all.
    None,
}

/// Why a text is not the address of a mail server or a folder. It repeats nothing that may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidMailUrl {
    /// Not in a known form.
    #[error("mails go to smtp://user:password@host:port, smtps://user:password@host:port or folder:<path>")]
    Malformed,
    /// A user without a password, or one that is not percent-encoded.
    #[error("the login of a mail server is user:password, both percent-encoded")]
    Login,
    /// Neither `tls` nor `ca`, or with another value.
    #[error("the parameters of a mail server are tls=required, tls=none (with smtp:// only) and ca=<file>")]
    Parameter,
    /// A password would be sent for everybody to read.
    #[error("a login needs TLS: leave out tls=none, or the user and the password")]
    LoginInClear,
}

impl FromStr for MailUrl {
    type Err = InvalidMailUrl;

    fn from_str(text: &str) -> Result<Self, InvalidMailUrl> {
        if let Some(path) = text.strip_prefix("folder:") {
            let is_path = !path.is_empty() && !path.contains('\0');
            return is_path.then(|| Self(Place::Folder(path.into()))).ok_or(InvalidMailUrl::Malformed);
        }
        server(text).map(|address| Self(Place::Server(address)))
    }
}

fn server(text: &str) -> Result<Address, InvalidMailUrl> {
    let url: Url = text.parse().map_err(|_| InvalidMailUrl::Malformed)?;
    let (implicit, standard_port) = match url.scheme() {
        "smtps" => (true, 465),
        "smtp" => (false, 587),
        _ => return Err(InvalidMailUrl::Malformed),
    };
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    let host = host.filter(|host| is_host(host)).ok_or(InvalidMailUrl::Malformed)?.to_owned();
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(InvalidMailUrl::Malformed);
    }
    let (tls, ca) = parameters(&url)?;
    let security = match tls {
        _ if implicit => match tls {
            Some(Tls::None) => return Err(InvalidMailUrl::Parameter),
            _ => Security::Implicit,
        },
        Some(Tls::Required) => Security::StartTls,
        Some(Tls::None) => Security::None,
        // What stays on this machine needs no protection, and a catcher that runs beside the shop has none.
        None if is_loopback(&host) && ca.is_none() => Security::None,
        None => Security::StartTls,
    };
    let login = login(&url)?;
    if login.is_some() && security == Security::None && !is_loopback(&host) {
        return Err(InvalidMailUrl::LoginInClear);
    }
    let port = url.port().unwrap_or(standard_port);
    Ok(Address { text: text.into(), host, port, security, ca, login })
}

/// What `tls` can be.
#[derive(Clone, Copy)]
enum Tls {
    Required,
    None,
}

fn parameters(url: &Url) -> Result<(Option<Tls>, Option<PathBuf>), InvalidMailUrl> {
    let (mut tls, mut ca) = (None, None);
    for (name, value) in url.query_pairs() {
        let earlier = match (&*name, &*value) {
            ("tls", "required") => tls.replace(Tls::Required).is_some(),
            ("tls", "none") => tls.replace(Tls::None).is_some(),
            ("ca", file) if !file.is_empty() => ca.replace(PathBuf::from(file)).is_some(),
            _ => return Err(InvalidMailUrl::Parameter),
        };
        if earlier {
            return Err(InvalidMailUrl::Parameter);
        }
    }
    Ok((tls, ca))
}

fn login(url: &Url) -> Result<Option<Login>, InvalidMailUrl> {
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains(['\0', '\r', '\n']) => Ok(text.into_owned()),
        _ => Err(InvalidMailUrl::Login),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(InvalidMailUrl::Login),
        (user, Some(password)) => {
            Ok(Some(Login { user: decoded(user)?, password: decoded(password)?.into() }))
        }
    }
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (!text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_".contains(&c)))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Server(address) => f.write_str(&redacted(address.text.expose_secret())),
            Place::Folder(path) => write!(f, "folder:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        match text.parse::<MailUrl>().unwrap().0 {
            Place::Server(address) => address,
            Place::Folder(path) => panic!("{} is a folder", path.display()),
        }
    }

    #[test]
    fn a_connection_is_protected_unless_it_stays_on_the_machine_or_the_address_says_otherwise() {
        for (text, port, security) in [
            ("smtp://mail.example.com", 587, Security::StartTls),
            ("smtp://mail.example.com:25?tls=required", 25, Security::StartTls),
            ("smtps://mail.example.com", 465, Security::Implicit),
            ("smtps://localhost:4650?tls=required", 4650, Security::Implicit),
            ("smtp://mail:1025?tls=none", 1025, Security::None),
            ("smtp://localhost:1025", 1025, Security::None),
            ("smtp://127.0.0.1:1025", 1025, Security::None),
            ("smtp://[::1]:1025/", 1025, Security::None),
            ("smtp://localhost:1025?tls=required", 1025, Security::StartTls),
            ("smtp://localhost:1025?ca=/ca.pem", 1025, Security::StartTls),
            ("smtp://127.0.0.1.example.com:25", 25, Security::StartTls),
        ] {
            let address = address(text);
            assert_eq!((address.port, address.security), (port, security), "{text}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let login = address("smtp://shop%40example.com:s3%2Fcret@mail.example.com").login.unwrap();
        assert_eq!((login.user.as_str(), login.password.expose_secret()), ("shop@example.com", "s3/cret"));
        let url: MailUrl = "smtps://shop:s3cret@mail.example.com?ca=/etc/ca.pem".parse().unwrap();
        assert_eq!(format!("{url:?}"), "smtps://mail.example.com");
    }

    #[test]
    fn a_folder_is_any_path() {
        let url: MailUrl = "folder:data/sent mails".parse().unwrap();
        assert_eq!(format!("{url:?}"), "folder:data/sent mails");
    }

    #[test]
    fn what_is_no_such_address_is_refused_without_repeating_it() {
        for (text, why) in [
            ("", InvalidMailUrl::Malformed),
            ("folder:", InvalidMailUrl::Malformed),
            ("http://mail", InvalidMailUrl::Malformed),
            ("smtp:mail", InvalidMailUrl::Malformed),
            ("smtp://", InvalidMailUrl::Malformed),
            ("smtp://mail/inbox", InvalidMailUrl::Malformed),
            ("smtp://ma%20il", InvalidMailUrl::Malformed),
            ("smtp://shop@mail", InvalidMailUrl::Login),
            ("smtp://:s3cret@mail", InvalidMailUrl::Login),
            ("smtp://shop:s3%0Acret@mail", InvalidMailUrl::Login),
            ("smtp://mail?tls=maybe", InvalidMailUrl::Parameter),
            ("smtp://mail?tls=none&tls=required", InvalidMailUrl::Parameter),
            ("smtp://mail?starttls=required", InvalidMailUrl::Parameter),
            ("smtps://mail?tls=none", InvalidMailUrl::Parameter),
            ("smtp://shop:s3cret@mail?tls=none", InvalidMailUrl::LoginInClear),
        ] {
            let error = text.parse::<MailUrl>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("s3"), "{error}");
        }
        assert!("smtp://shop:s3cret@localhost:1025".parse::<MailUrl>().is_ok(), "it stays on the machine");
    }
}
