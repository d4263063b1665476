//! Shared parts of database and cache addresses: how parameters are named, which of them are about
//! security, and how malformed ones are reported. No message repeats anything that may be part of a password.

use std::{borrow::Cow, collections::BTreeSet};

use thiserror::Error;
use url::Url;

/// The text is not an address that the shop can use. The message says why, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidAddress(Cow<'static, str>);

impl InvalidAddress {
    pub(super) fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

/// Words in the names of parameters that say who is trusted, or that protect data.
const SECURITY: [&str; 22] = [
    "ssl", "tls", "auth", "gss", "krb", "kerberos", "sspi", "scram", "binding", "cert", "verif", "trust",
    "secur", "crypt", "cipher", "pass", "pwd", "secret", "token", "key", "crl", "peer",
];

/// A parameter of an address.
pub(super) struct Parameter {
    /// The name in lower case, without hyphens and underscores, in which spellings differ: `sslmode`.
    pub(super) plain: String,
    /// The name as it was written.
    name: String,
    pub(super) value: String,
}

impl Parameter {
    /// The name, if it is safe to show.
    pub(super) fn shown(&self) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
        if self.name.chars().all(is_word) && (1..=40).contains(&self.name.len()) {
            format!("`{}`", self.name)
        } else {
            "a parameter that has no proper name".to_owned()
        }
    }

    /// The name as it was written.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The value as the name of a mode: lower case, with hyphens.
    pub(super) fn mode(&self) -> String {
        self.value.trim().to_ascii_lowercase().replace('_', "-")
    }

    /// The value as a boolean.
    pub(super) fn switch(&self) -> Option<bool> {
        match self.mode().as_str() {
            "" | "true" | "t" | "1" | "on" | "yes" => Some(true),
            "false" | "f" | "0" | "off" | "no" => Some(false),
            _ => None,
        }
    }

    pub(super) fn is_about_security(&self) -> bool {
        SECURITY.iter().any(|word| self.plain.contains(word)) || matches!(self.plain.as_str(), "ca" | "user")
    }

    /// The parameter is about security and has an unsupported value.
    pub(super) fn refused(&self, why: &str) -> InvalidAddress {
        InvalidAddress::new(format!("{}: {why}", self.shown()))
    }

    /// The parameter is about security and unknown.
    pub(super) fn unsupported(&self) -> InvalidAddress {
        self.refused("this security option is not supported here; leave it out")
    }
}

/// The parameters of `url`. Each may occur once.
pub(super) fn parameters(url: &Url) -> Result<Vec<Parameter>, InvalidAddress> {
    let mut seen = BTreeSet::new();
    let mut parameters = Vec::new();
    for (name, value) in url.query_pairs() {
        let plain = name.to_ascii_lowercase().replace(['-', '_', ' '], "");
        let parameter = Parameter { plain, name: name.into_owned(), value: value.into_owned() };
        if !seen.insert(parameter.plain.clone()) {
            return Err(parameter.refused("it is given twice"));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// A remark that names all parameters without effect.
pub(super) fn ignored(names: &[String]) -> Option<String> {
    let what = match names {
        [] => return None,
        [_] => "is unknown and has no effect",
        _ => "are unknown and have no effect",
    };
    Some(format!("{} {what}", names.join(" and ")))
}

/// Parameters whose values may contain a raw `@`.
const WITH_AT: [&str; 5] = ["user=", "username=", "password=", "options=", "application_name="];

/// Looks for a user name or password that was not percent-encoded: a delimiter in it would end that part of the address,
/// and the rest would be taken for a host, a path or a parameter. `rest` is what follows `://`.
pub(super) fn well_delimited(rest: &str) -> Result<(), InvalidAddress> {
    if rest.chars().any(char::is_control) {
        return Err(InvalidAddress::new("it contains a line break or another control character"));
    }
    let raw = |delimiter: char, code: &str| {
        Err(InvalidAddress::new(format!(
            "there is a raw `{delimiter}` in the user name or password: write it as {code} (percent-encode it)"
        )))
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (before_query, query) = tail.split_once('?').unwrap_or((tail, ""));
    if tail.contains('#') {
        return raw('#', "%23");
    }
    let strays = |pair: &str| pair.contains('@') && !WITH_AT.iter().any(|name| pair.starts_with(name));
    if before_query.contains('@') {
        return raw('/', "%2F");
    }
    if query.split('&').any(strays) {
        return if before_query.is_empty() || authority.contains('@') {
            raw('?', "%3F")
        } else {
            raw('/', "%2F")
        };
    }
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    let is_code = |code: &str| code.len() >= 2 && code.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if !login.split('%').skip(1).all(is_code) {
        return raw('%', "%25");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_password_early_is_named_and_the_password_is_not() {
        for (rest, named) in [
            ("shop:pa/s3cret@db/shop", "`/`"),
            ("shop:12/s3cret@db/shop", "`/`"),
            ("shop:12/s3?cret=x@db/shop", "`/`"),
            ("shop:p@/s3cret@db/shop", "`/`"),
            ("shop:pa?s3cret@db/shop", "`?`"),
            ("shop:12?s3cret=x@db/shop", "`?`"),
            ("shop:p@s?s3cret=x@db/shop", "`?`"),
            ("shop:pa#s3cret@db/shop", "`#`"),
            ("shop:12#s3cret@db/shop", "`#`"),
            ("shop:s3cret@db/shop#x", "`#`"),
            ("shop:s3%cret@db/shop", "`%`"),
            ("shop:s3cret%@db/shop", "`%`"),
        ] {
            let told = well_delimited(rest).unwrap_err().to_string();
            assert!(told.contains(named) && !told.contains("cret"), "{rest}: {told}");
        }
        // A raw `@` is unambiguous: the last one ends the login.
        for rest in [
            "shop:s3%2Fcret@db/shop?user=a@b",
            "shop:s3@cret@db/shop",
            "db",
            "db/shop?options=-c%20x",
            "[::1]:5432/shop",
            "/shop",
        ] {
            assert_eq!(well_delimited(rest), Ok(()), "{rest}");
        }
        assert!(well_delimited("db/sh\nop").is_err());
    }
}
