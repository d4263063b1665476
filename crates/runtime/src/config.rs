//! Reading configuration: environment variables only, listed by `--help`, and one line when one is wrong.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    str::FromStr,
};

use clap::{Parser, error::ErrorKind};
pub use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

/// Parses the process's arguments and environment. Prints help or version and exits when asked to.
///
/// # Errors
/// One line that names the variable which is missing or malformed, without its value.
pub fn parse<C: Parser>() -> anyhow::Result<C> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    parse_from(&arguments)
}

/// The same with these arguments, the program's name first.
pub(crate) fn parse_from<C: Parser>(arguments: &[OsString]) -> anyhow::Result<C> {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let parsed = without_empty_variables(C::command(), &is_empty)
        .try_get_matches_from(arguments)
        .and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => anyhow::anyhow!("{}", one_line::<C>(&error)),
    })
}

/// An empty variable is an unset one: compose passes `NAME=` for what `.env` leaves out.
fn without_empty_variables(command: clap::Command, is_empty: &dyn Fn(&OsStr) -> bool) -> clap::Command {
    let empty: Vec<clap::Id> = command
        .get_arguments()
        .filter(|argument| argument.get_env().is_some_and(is_empty))
        .map(|argument| argument.get_id().clone())
        .collect();
    empty
        .into_iter()
        .fold(command, |command, id| command.mut_arg(id, |argument| argument.env(None::<&str>)))
        .mut_subcommands(|command| without_empty_variables(command, is_empty))
}

/// Clap's message, as one line that speaks of environment variables.
fn one_line<C: Parser>(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};

    let arguments = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => vec![argument.clone()],
        Some(ContextValue::Strings(arguments)) => arguments.clone(),
        _ => return error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    let command = C::command();
    let names: Vec<String> = arguments
        .iter()
        .map(|argument| {
            let long = argument.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
            std::iter::once(&command)
                .chain(command.get_subcommands())
                .flat_map(clap::Command::get_arguments)
                .find(|known| known.get_long() == Some(long))
                .and_then(|known| known.get_env())
                .map_or_else(|| argument.clone(), |env| env.to_string_lossy().into_owned())
        })
        .collect();
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("{} must be set", names.join(" and ")),
        _ => {
            let reason = std::error::Error::source(error)
                .map_or_else(|| "the value is malformed".to_owned(), ToString::to_string);
            format!("{}: {reason}", names.join(", "))
        }
    }
}

/// Where a database is: `postgres://`, `postgresql://`, `postgresql+asyncpg://` or `sqlite:`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// The text is not the address of a database that the shop can use.
#[derive(Debug, Error)]
#[error("a database URL begins with postgresql:// (postgresql+asyncpg:// is the same) or sqlite:")]
pub struct InvalidDatabaseUrl;

impl DatabaseUrl {
    /// Whether this is the embedded database.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// Where it is, without who comes and how: host, port and the database's name, or the file.
    pub fn place(&self) -> String {
        match self.0.strip_prefix("sqlite:") {
            Some(file) => file.split('?').next().unwrap_or_default().to_owned(),
            None => Url::parse(&self.0).map_or_else(
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

    /// The whole address, password included: for a driver, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if text.starts_with("sqlite:") {
            return Ok(Self(text.to_owned()));
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidDatabaseUrl)?;
        // SQLAlchemy writes its driver behind a plus: postgresql+asyncpg, postgresql+psycopg.
        if !matches!(scheme.split('+').next(), Some("postgres" | "postgresql")) {
            return Err(InvalidDatabaseUrl);
        }
        let normal = format!("postgres://{rest}");
        Url::parse(&normal).map_err(|_| InvalidDatabaseUrl)?;
        Ok(Self(normal))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

/// An address without its user, password and query, for logs and errors.
pub fn redacted(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.to_string()
        }
        Err(_) => "(malformed address)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, Parser)]
    struct Example {
        /// A number.
        #[arg(long, env = "EXAMPLE_PORT")]
        port: u16,
    }

    fn parse(arguments: &[&str]) -> String {
        let arguments = std::iter::once("example").chain(arguments.iter().copied()).map(OsString::from);
        parse_from::<Example>(&arguments.collect::<Vec<_>>()).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_variable_is_named_in_one_line() {
        assert_eq!(parse(&[]), "EXAMPLE_PORT must be set");
    }

    #[test]
    fn a_malformed_variable_is_named_without_its_value() {
        assert_eq!(parse(&["--port", "s3cret"]), "EXAMPLE_PORT: invalid digit found in string");
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        /// A variable that every environment has.
        #[derive(Debug, Parser)]
        struct Path {
            #[arg(long, env = "PATH")]
            path: Option<String>,
        }
        let without = |empty: bool| {
            let command = without_empty_variables(Path::command(), &|_| empty);
            command.try_get_matches_from(["example"]).unwrap().get_one::<String>("path").is_none()
        };
        assert!(without(true) && !without(false));
    }

    #[test]
    fn the_specifications_urls_are_understood() {
        let url: DatabaseUrl = "postgresql+asyncpg://shop_user:change_me@db:5432/shop_db".parse().unwrap();
        assert_eq!(url.expose(), "postgres://shop_user:change_me@db:5432/shop_db");
        assert_eq!(format!("{url:?}"), "postgres://db:5432/shop_db");
        assert_eq!(url.place(), "db:5432/shop_db");
        assert_eq!("postgres://user:secret@db".parse::<DatabaseUrl>().unwrap().place(), "db:5432");
        assert_eq!("sqlite:data/orders.db?mode=rw".parse::<DatabaseUrl>().unwrap().place(), "data/orders.db");
        assert!("mysql://db/shop".parse::<DatabaseUrl>().is_err());
        assert!("sqlite:data.db".parse::<DatabaseUrl>().unwrap().is_sqlite());
    }
}
