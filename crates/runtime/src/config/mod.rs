//! Configuration: only from environment variables, or the files that they name. `--help` lists them, and one line reports
//! a wrong one.

mod address;
mod database_url;
mod followed;
mod redacted;
mod redis_url;
mod secret;
mod variables;

use std::ffi::{OsStr, OsString};

use clap::{Parser, error::ErrorKind};
pub use secrecy::{ExposeSecret, SecretString};

pub use self::{
    address::InvalidAddress,
    database_url::{DatabaseUrl, TargetSession},
    followed::follow,
    redacted::redacted,
    redis_url::RedisUrl,
    secret::{Demo, Secret},
};

/// Parses the process's arguments and environment. Prints help or version and exits if asked to.
///
/// # Errors
/// One line that names the missing or malformed variable, without its value.
pub fn parse<C: Parser>() -> anyhow::Result<C> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    parse_from(&arguments)
}

/// The same with these arguments, starting with the program's name.
pub(crate) fn parse_from<C: Parser>(arguments: &[OsString]) -> anyhow::Result<C> {
    let environment = |name: &OsStr| std::env::var_os(name);
    variables::check_driver(&environment)?;
    let command = variables::read(C::command(), &environment)?;
    let parsed =
        command.try_get_matches_from(arguments).and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => anyhow::anyhow!("{}", one_line::<C>(&error)),
    })
}

/// Converts clap's message into one line about environment variables.
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

#[cfg(test)]
mod tests {
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
}
