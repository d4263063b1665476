use std::{fmt, str::FromStr};

use url::Url;

use super::{
    address::{self, InvalidAddress, Parameter},
    redacted,
};

/// The address of a Redis: `redis://`, `rediss://` (with TLS), or `memory:` for none. Never shown with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    url: Option<String>,
    remarks: Vec<String>,
}

impl RedisUrl {
    /// No Redis: its work is done inside this process.
    pub const MEMORY: Self = Self { url: None, remarks: Vec::new() };

    /// The complete address, including the password: for a driver, never for a log. `None` for `memory:`.
    pub fn expose(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Logs which parameters have no effect. Called once, at start.
    pub fn warn(&self) {
        for remark in &self.remarks {
            tracing::warn!(redis = ?self, "{remark}");
        }
    }
}

const FORM: &str = "a Redis address is redis://[user:password@]host:port/database, the same with rediss:// (TLS), or memory:";

impl FromStr for RedisUrl {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text == "memory:" {
            return Ok(Self::MEMORY);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| InvalidAddress::new(FORM))?;
        let with_tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(InvalidAddress::new(FORM)),
        };
        if rest.ends_with("#insecure") {
            return Err(InvalidAddress::new(
                "`#insecure`: an unverified certificate protects nothing; leave it out",
            ));
        }
        address::well_delimited(rest)?;
        let url = Url::parse(text).map_err(|_| InvalidAddress::new(FORM))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidAddress::new(FORM));
        }
        Self::read(url, with_tls)
    }
}

impl RedisUrl {
    fn read(mut url: Url, with_tls: bool) -> Result<Self, InvalidAddress> {
        let mut tls = with_tls;
        let mut ignored = Vec::new();
        let mut database = None;
        let parameters = address::parameters(&url)?;
        for parameter in &parameters {
            match parameter.plain.as_str() {
                "ssl" | "tls" => tls = wants_tls(parameter, with_tls)?,
                // redis-py's names for what happens anyway, and for what nobody should want.
                "sslcertreqs" if parameter.mode() == "required" => {}
                "sslcheckhostname" if parameter.switch() == Some(true) => {}
                "db" => database = Some(parameter.value.clone()),
                // The driver chooses the protocol version that each service needs.
                "protocol" => {}
                _ if parameter.is_about_security() => return Err(parameter.unsupported()),
                _ => ignored.push(parameter.shown()),
            }
        }
        let is_about_tls = |parameter: &Parameter| parameter.plain.starts_with("ssl");
        if let Some(parameter) =
            parameters.iter().find(|parameter| is_about_tls(parameter) && !tls && parameter.plain != "ssl")
        {
            return Err(parameter.refused("redis:// does not use TLS; write rediss://"));
        }
        if let Some(database) = database {
            if !matches!(url.path(), "" | "/") {
                return Err(InvalidAddress::new("`db`: the path names a database already"));
            }
            url.set_path(&database);
        }
        let path = url.path().trim_matches('/');
        if !path.is_empty() && path.parse::<u32>().is_err() {
            return Err(InvalidAddress::new("the path must be the number of a database, such as /0"));
        }
        url.set_query(None);
        // The url crate does not allow changing a scheme to one that it does not know.
        let rest = url.as_str().split_once(':').map_or("", |(_, rest)| rest);
        let url = format!("{}:{rest}", if tls { "rediss" } else { "redis" });
        Ok(Self { url: Some(url), remarks: address::ignored(&ignored).into_iter().collect() })
    }
}

fn wants_tls(parameter: &Parameter, with_tls: bool) -> Result<bool, InvalidAddress> {
    match parameter.switch() {
        Some(wanted) if wanted || !with_tls => Ok(wanted),
        Some(_) => Err(parameter.refused("it contradicts rediss://, which uses TLS")),
        None => Err(parameter.refused("expected true or false")),
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.as_deref().map_or_else(|| "memory:".to_owned(), redacted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(text: &str) -> String {
        text.parse::<RedisUrl>().unwrap().expose().unwrap().to_owned()
    }

    #[test]
    fn every_usual_spelling_of_tls_is_heeded() {
        assert_eq!(exposed("redis://redis:6379/0"), "redis://redis:6379/0");
        assert_eq!(exposed("rediss://:s3cret@redis/1\n"), "rediss://:s3cret@redis/1");
        assert_eq!(exposed("redis://redis?ssl=true"), "rediss://redis");
        assert_eq!(exposed("redis://redis/?ssl=True&ssl_cert_reqs=required&db=2"), "rediss://redis/2");
        assert_eq!(exposed("rediss://redis?ssl_check_hostname=true"), "rediss://redis");
        assert_eq!("memory:".parse::<RedisUrl>().unwrap(), RedisUrl::MEMORY);
    }

    #[test]
    fn what_protects_nothing_or_cannot_be_heeded_is_refused() {
        for text in [
            "rediss://redis#insecure",
            "rediss://redis/0#insecure",
            "rediss://redis?ssl_cert_reqs=none",
            "rediss://redis?ssl_cert_reqs=optional",
            "rediss://redis?ssl_check_hostname=false",
            "rediss://redis?ssl_ca_certs=/ca",
            "rediss://redis?ssl=false",
            "redis://redis?ssl_cert_reqs=required",
            "redis://redis?ssl=maybe",
            "redis://redis?ssl=true&ssl=false",
            "redis://redis?password=s3cret",
            "redis://redis?tls_verify=1",
            "redis://redis/zero",
            "redis://:s3/cret@redis",
            "redis://",
            "redis+sentinel://redis/master",
            "http://redis",
            "redis:6379",
        ] {
            let error = text.parse::<RedisUrl>().err().map(|error| error.to_string());
            assert!(error.as_ref().is_some_and(|error| !error.contains("cret@")), "{text}: {error:?}");
        }
    }

    #[test]
    fn the_password_is_never_shown_and_unknown_parameters_are() {
        let url: RedisUrl =
            "redis://user:s3cret@redis/0?socket_timeout=3&decode_responses=true".parse().unwrap();
        assert_eq!(format!("{url:?}"), "redis://redis/0");
        assert_eq!(url.remarks, ["`socket_timeout` and `decode_responses` are unknown and have no effect"]);
    }
}
