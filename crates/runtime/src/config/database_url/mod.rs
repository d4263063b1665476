use std::{fmt, path::Path, str::FromStr, sync::Arc, time::Duration};

use url::Url;

use super::{
    address::{self, InvalidAddress, Parameter},
    redacted,
};

/// The address of a database: `postgres://`, `postgresql://`, `postgresql+asyncpg://` or `sqlite:`.
///
/// The spellings of libpq, SQLAlchemy, asyncpg and JDBC are accepted and translated for the driver. Unsupported
/// security parameters are refused; [`DatabaseUrl::warn`] names other unknown parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    session: TargetSession,
    connect_timeout: Option<Duration>,
    remarks: Vec<String>,
    file: Option<Arc<Path>>,
}

/// Which servers a session may use: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetSession {
    /// Any server that answers.
    Any,
    /// A server that accepts writes, as all of the shop's services need.
    #[default]
    ReadWrite,
}

impl DatabaseUrl {
    /// Whether this is the embedded database.
    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The address without user, password and parameters: host, port and database name, or the file.
    pub fn place(&self) -> String {
        match self.url.strip_prefix("sqlite:") {
            Some(file) => file.split('?').next().unwrap_or_default().to_owned(),
            None => Url::parse(&self.url).map_or_else(
                |_| String::new(),
                |url| {
                    format!(
                        "{}:{}{}",
                        url.host_str().unwrap_or_default(),
                        url.port().unwrap_or(5432),
                        url.path()
                    )
                },
            ),
        }
    }

    /// The complete address, including the password: for a driver, never for a log.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// Which servers a session may use.
    pub fn target_session(&self) -> TargetSession {
        self.session
    }

    /// How long connecting may take, if the address sets it: 1 to 60 seconds.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// The file that the address was read from; it may change while the process runs.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The same address, read from `file`.
    #[must_use]
    pub fn from_file(self, file: Arc<Path>) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Logs which parameters have no effect, and which settings are weak. Called once, at start.
    pub fn warn(&self) {
        for remark in &self.remarks {
            tracing::warn!(database = ?self, "{remark}");
        }
    }

    fn sqlite(text: &str) -> Result<Self, InvalidAddress> {
        for (name, _) in
            url::form_urlencoded::parse(text.split_once('?').map_or("", |(_, query)| query).as_bytes())
        {
            if !matches!(&*name, "mode" | "cache" | "immutable" | "vfs") {
                return Err(InvalidAddress::new(
                    "SQLite supports only the parameters `mode`, `cache`, `immutable` and `vfs`",
                ));
            }
        }
        Ok(Self::plain(text.to_owned()))
    }

    fn plain(url: String) -> Self {
        Self {
            url,
            session: TargetSession::default(),
            connect_timeout: None,
            remarks: Vec::new(),
            file: None,
        }
    }

    fn postgres(rest: &str) -> Result<Self, InvalidAddress> {
        address::well_delimited(rest)?;
        let hosts = rest.split(['/', '?']).next().and_then(|authority| authority.rsplit('@').next());
        if hosts.is_some_and(|hosts| hosts.contains(',')) {
            return Err(InvalidAddress::new(SEVERAL_HOSTS));
        }
        let mut url = Url::parse(&format!("postgres://{rest}")).map_err(|_| InvalidAddress::new(FORM))?;
        let mut read = Reading::default();
        for parameter in address::parameters(&url)? {
            read.parameter(&parameter)?;
        }
        read.tls.settle(&mut read.kept, &mut read.remarks)?;
        url.set_query(None);
        if !read.kept.is_empty() {
            url.query_pairs_mut().extend_pairs(&read.kept);
        }
        read.remarks.extend(address::ignored(&read.ignored));
        let Reading { session, connect_timeout, remarks, .. } = read;
        Ok(Self { session, connect_timeout, remarks, ..Self::plain(url.into()) })
    }
}

const FORM: &str = "a database URL begins with postgresql:// (postgresql+asyncpg:// is the same) or sqlite:";

const SEVERAL_HOSTS: &str =
    "it contains several hosts; name one that always leads to the server that accepts writes";

impl FromStr for DatabaseUrl {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text.starts_with("sqlite:") {
            return Self::sqlite(text);
        }
        // SQLAlchemy writes its driver behind a plus: postgresql+asyncpg, postgresql+psycopg.
        match text.split_once("://") {
            Some((scheme, rest)) if matches!(scheme.split('+').next(), Some("postgres" | "postgresql")) => {
                Self::postgres(rest)
            }
            _ => Err(InvalidAddress::new(FORM)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.url))
    }
}

/// The parameters of a PostgreSQL address.
#[derive(Default)]
struct Reading {
    tls: Tls,
    session: TargetSession,
    connect_timeout: Option<Duration>,
    /// Parameters that the driver supports, in its spelling.
    kept: Vec<(String, String)>,
    ignored: Vec<String>,
    remarks: Vec<String>,
}

impl Reading {
    fn parameter(&mut self, parameter: &Parameter) -> Result<(), InvalidAddress> {
        let mode = parameter.mode();
        match (parameter.plain.as_str(), mode.as_str()) {
            ("ssl", _) => self.tls.ssl(parameter)?,
            ("sslmode", _) => self.tls.mode(parameter, Mode::named(parameter)?)?,
            // libpq's predecessor of sslmode; 0 is its default.
            ("requiressl", _) => match parameter.switch() {
                Some(true) => self.tls.mode(parameter, Mode::Require)?,
                Some(false) => {}
                None => return Err(parameter.refused("expected 0 or 1")),
            },
            ("sslrootcert" | "sslca", _) => self.tls.root = Some(parameter.value.clone()),
            ("sslcert", _) => self.tls.certificate = Some(parameter.value.clone()),
            ("sslkey", _) => self.tls.key = Some(parameter.value.clone()),
            // They ask for what happens anyway: the driver offers no compression, sends the host's name, speaks
            // TLS 1.2 and 1.3, and neither GSSAPI nor channel binding; `prefer` does not require those.
            ("sslcompression", "0")
            | ("sslsni", "1")
            | ("sslnegotiation", "postgres")
            | ("sslcertmode", "allow")
            | ("sslminprotocolversion", "tlsv1" | "tlsv1.1" | "tlsv1.2")
            | ("sslmaxprotocolversion", "tlsv1.3")
            | ("channelbinding", "disable" | "prefer")
            | ("gssencmode", "disable" | "prefer") => {}
            ("targetsessionattrs" | "targetservertype", _) => self.session = target_session(parameter)?,
            ("connecttimeout", _) => self.connect_timeout = seconds(parameter)?,
            ("host" | "hostaddr", _) if parameter.value.contains(',') => {
                return Err(InvalidAddress::new(SEVERAL_HOSTS));
            }
            ("host" | "hostaddr" | "port" | "dbname" | "user" | "password" | "options", _) => {
                self.keep(parameter);
            }
            ("applicationname", _) => {
                self.kept.push(("application_name".to_owned(), parameter.value.clone()));
            }
            ("statementcachecapacity", _) => {
                self.kept.push(("statement-cache-capacity".to_owned(), parameter.value.clone()));
            }
            (plain, _) if plain.starts_with("options[") => {
                self.kept.push((parameter.name().to_owned(), parameter.value.clone()));
            }
            _ if parameter.is_about_security() => return Err(parameter.unsupported()),
            _ => self.ignored.push(parameter.shown()),
        }
        Ok(())
    }

    fn keep(&mut self, parameter: &Parameter) {
        self.kept.push((parameter.plain.clone(), parameter.value.clone()));
    }
}

/// How much the server has to prove, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    const ALL: [(&str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    fn named(parameter: &Parameter) -> Result<Self, InvalidAddress> {
        let mode = parameter.mode();
        let known = Self::ALL.iter().find(|(name, _)| *name == mode).map(|(_, known)| *known);
        known.ok_or_else(|| {
            parameter.refused("expected disable, allow, prefer, require, verify-ca or verify-full")
        })
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// The TLS settings, in whatever spelling.
#[derive(Default)]
struct Tls {
    mode: Option<Mode>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Tls {
    /// asyncpg's `ssl` takes the modes of `sslmode`; `true` means `require`, as in libpq.
    fn ssl(&mut self, parameter: &Parameter) -> Result<(), InvalidAddress> {
        match parameter.switch() {
            // asyncpg's and JDBC's `ssl=false`: without TLS, or not requested.
            Some(false) => self.mode(parameter, Mode::Disable),
            // It adds nothing to a stronger `sslmode`.
            Some(true) if self.mode.is_some_and(|mode| mode >= Mode::Require) => Ok(()),
            Some(true) => self.mode(parameter, Mode::Require),
            None => self.mode(parameter, Mode::named(parameter)?),
        }
    }

    fn mode(&mut self, parameter: &Parameter, mode: Mode) -> Result<(), InvalidAddress> {
        match self.mode.replace(mode) {
            Some(before) if before != mode => {
                // `ssl=true&sslmode=verify-full`: the second is more specific.
                if before == Mode::Require && mode > before {
                    return Ok(());
                }
                Err(parameter.refused("it contradicts another parameter about TLS"))
            }
            _ => Ok(()),
        }
    }

    /// Writes the settings in the driver's spelling.
    fn settle(
        &mut self,
        kept: &mut Vec<(String, String)>,
        remarks: &mut Vec<String>,
    ) -> Result<(), InvalidAddress> {
        self.settle_root()?;
        if self.certificate.is_some() != self.key.is_some() {
            return Err(InvalidAddress::new("`sslcert` and `sslkey` must be set together"));
        }
        if self.certificate.is_some() && self.mode.is_none_or(|mode| mode < Mode::Require) {
            return Err(InvalidAddress::new("`sslcert` needs `sslmode=require` or more"));
        }
        if let Some(mode) = self.mode {
            if matches!(mode, Mode::Allow | Mode::Prefer) {
                remarks.push(format!(
                    "sslmode={} uses TLS where the server offers it, and plain text where it does not; \
                     verify-full protects",
                    mode.name()
                ));
            }
            // The driver's `allow` never uses TLS at all.
            let mode = if mode == Mode::Allow { Mode::Prefer } else { mode };
            kept.push(("sslmode".to_owned(), mode.name().to_owned()));
        }
        let files = [("sslrootcert", &self.root), ("sslcert", &self.certificate), ("sslkey", &self.key)];
        let files = files.into_iter().filter_map(|(name, file)| Some((name.to_owned(), file.clone()?)));
        kept.extend(files);
        Ok(())
    }

    /// With a root certificate, libpq verifies even in mode `require`; the driver does not.
    fn settle_root(&mut self) -> Result<(), InvalidAddress> {
        match (self.root.as_deref(), self.mode) {
            (None, _) => {}
            // The public roots issue certificates to anybody, so the host name must be verified.
            (Some("system"), None | Some(Mode::VerifyFull)) => {
                self.root = None;
                self.mode = Some(Mode::VerifyFull);
            }
            (Some("system"), _) => {
                return Err(InvalidAddress::new("`sslrootcert=system` requires `sslmode=verify-full`"));
            }
            (Some(_), Some(Mode::Require)) => self.mode = Some(Mode::VerifyCa),
            (Some(_), Some(Mode::VerifyCa | Mode::VerifyFull)) => {}
            (Some(_), _) => {
                return Err(InvalidAddress::new(
                    "`sslrootcert` has no effect without `sslmode=verify-full` or `verify-ca`",
                ));
            }
        }
        Ok(())
    }
}

fn target_session(parameter: &Parameter) -> Result<TargetSession, InvalidAddress> {
    match parameter.mode().as_str() {
        "any" => Ok(TargetSession::Any),
        // The last two are JDBC's names.
        "read-write" | "primary" | "master" => Ok(TargetSession::ReadWrite),
        _ => Err(parameter.refused("every service writes: expected read-write, primary or any")),
    }
}

/// As in libpq, 0 means no limit in the address.
fn seconds(parameter: &Parameter) -> Result<Option<Duration>, InvalidAddress> {
    match parameter.value.trim().parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.min(60)))),
        Err(_) => Err(parameter.refused("expected a number of seconds")),
    }
}

#[cfg(test)]
mod tests;
