//! How clap gets the environment: each variable of a command, or the file that `NAME_FILE` names.

use std::{
    any::TypeId,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Arg, Command, Id};

use super::DatabaseUrl;

/// The maximum size of a file with a variable's value, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Reads a variable of the environment.
type Environment<'a> = &'a dyn Fn(&OsStr) -> Option<OsString>;

/// Prepares `command` so that every variable is read as intended: an empty one counts as unset (compose passes `NAME=` for what `.env` leaves
/// out), whitespace and line breaks around a value are ignored, and `NAME_FILE` names a file with the value.
///
/// # Errors
/// A variable is given twice, or its file cannot be read.
pub(super) fn read(command: Command, environment: Environment<'_>) -> anyhow::Result<Command> {
    let named: Vec<(Id, OsString, bool)> = command
        .get_arguments()
        .filter_map(|argument| {
            let name = argument.get_env()?.to_owned();
            Some((argument.get_id().clone(), name, argument.is_hide_env_values_set()))
        })
        .collect();
    let mut command = command;
    for (id, name, is_secret) in named {
        command = match given(&name, is_secret, environment)? {
            Given::AsItIs => command,
            Given::Not => command.mut_arg(id, |argument| argument.env(None::<&str>)),
            Given::Value(value) => command.mut_arg(id, |argument| with_value(argument, value)),
            Given::File(value, path) => command.mut_arg(id, |argument| with_file(argument, value, path)),
        };
    }
    let subcommands: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in subcommands {
        let mut outcome = Ok(());
        command = command.mut_subcommand(name, |subcommand| match read(subcommand.clone(), environment) {
            Ok(subcommand) => subcommand,
            Err(error) => {
                outcome = Err(error);
                subcommand
            }
        });
        outcome?;
    }
    Ok(command.after_help(FILES))
}

const FILES: &str = "Every variable NAME can also be given as NAME_FILE, the path of a file with the value, such as a mounted Secret. An empty \
                     variable is an unset one.";

/// Checks a variable that the database's driver reads itself; it would treat a misspelt mode as `prefer`.
///
/// # Errors
/// It is none of the driver's modes.
pub(super) fn check_driver(environment: Environment<'_>) -> anyhow::Result<()> {
    let mode = environment(OsStr::new("PGSSLMODE")).unwrap_or_default();
    let modes = ["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    ensure!(
        mode.to_str().is_some_and(|mode| modes.contains(&mode)),
        "PGSSLMODE: expected disable, allow, prefer, require, verify-ca or verify-full"
    );
    Ok(())
}

/// How a variable is given.
enum Given {
    /// In the environment as intended, or not at all: clap reads it.
    AsItIs,
    /// Empty.
    Not,
    /// In the environment, in a form that has to be cleaned up.
    Value(String),
    File(String, PathBuf),
}

fn given(name: &OsStr, is_secret: bool, environment: Environment<'_>) -> anyhow::Result<Given> {
    let filled = |name: &OsStr| environment(name).filter(|value| !value.is_empty());
    let mut in_file = name.to_owned();
    in_file.push("_FILE");
    match (filled(name), filled(&in_file)) {
        (None, None) if environment(name).is_some() => Ok(Given::Not),
        (None, None) => Ok(Given::AsItIs),
        (Some(_), Some(_)) => {
            bail!("{} and {} are both set: set only one", name.display(), in_file.display())
        }
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let value = contents(&path).with_context(|| in_file.display().to_string())?;
            Ok(Given::File(meant(&value, is_secret).to_owned(), path))
        }
        (Some(value), None) => match value.to_str().map(|text| (text, meant(text, is_secret))) {
            Some((text, meant)) if text != meant => Ok(Given::Value(meant.to_owned())),
            _ => Ok(Given::AsItIs),
        },
    }
}

/// The value without what an editor, `echo` or copying may have added. Spaces may be part of a secret; a final line break is not.
fn meant(text: &str, is_secret: bool) -> &str {
    if is_secret {
        let text = text.strip_suffix('\n').unwrap_or(text);
        return text.strip_suffix('\r').unwrap_or(text);
    }
    text.trim()
}

/// Reads a value from a file.
///
/// # Errors
/// The file cannot be read, is too long, is not text, or is empty.
pub(super) fn contents(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .with_context(|| shown.to_string())?;
    ensure!(bytes.len() as u64 <= MAX_FILE, "{shown} has more than {MAX_FILE} bytes");
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{shown} is not text"))?;
    ensure!(!text.trim().is_empty(), "{shown} is empty");
    Ok(text)
}

/// Acts as if the environment contained `value`: arguments still take precedence, and `--help` does not show it.
fn with_value(argument: Arg, value: String) -> Arg {
    argument.env(None::<&str>).default_value(value).hide_default_value(true).required(false)
}

fn with_file(argument: Arg, value: String, path: PathBuf) -> Arg {
    // An address in a file is followed when it changes, so it has to know its file.
    let is_database = argument.get_value_parser().type_id() == TypeId::of::<DatabaseUrl>();
    let argument = with_value(argument, value.clone());
    if !is_database {
        return argument;
    }
    let path: Arc<Path> = path.into();
    argument.value_parser(move |text: &str| {
        let url = DatabaseUrl::from_str(text)?;
        Ok::<_, super::InvalidAddress>(if text == value { url.from_file(path.clone()) } else { url })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "example")]
    struct Example {
        /// A number.
        #[arg(long, env = "EXAMPLE_PORT", default_value_t = 1)]
        port: u16,
        /// A secret.
        #[arg(long, env = "EXAMPLE_SECRET", hide_env_values = true)]
        secret: Option<SecretString>,
        /// A database.
        #[arg(long, env = "EXAMPLE_DATABASE_URL", hide_env_values = true)]
        database: DatabaseUrl,
        #[command(subcommand)]
        tool: Option<Tool>,
    }

    #[derive(Debug, Subcommand)]
    enum Tool {
        Try(Try),
    }

    #[derive(Args, Debug)]
    struct Try {
        #[arg(long, env = "EXAMPLE_PATIENCE")]
        patience: u16,
    }

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Example> {
        let environment = |name: &OsStr| {
            environment.iter().find(|(known, _)| name == *known).map(|(_, value)| OsString::from(value))
        };
        let command = read(Example::command(), &environment)?;
        let arguments = std::iter::once("example").chain(arguments.iter().copied());
        let mut matches = command.try_get_matches_from(arguments)?;
        Ok(Example::from_arg_matches_mut(&mut matches)?)
    }

    fn file(content: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        fs::write(&path, content).unwrap();
        (folder, path.to_str().unwrap().to_owned())
    }

    /// Given as an argument, because clap itself reads the process's environment for variables in their intended form.
    const DATABASE: [&str; 2] = ["--database", "postgresql://shop:s3cret@db/shop"];

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let parsed = parse(&DATABASE, &[("EXAMPLE_PORT", ""), ("EXAMPLE_SECRET", "")]).unwrap();
        assert_eq!((parsed.port, parsed.secret.is_none()), (1, true));
        let empty_file = parse(&DATABASE, &[("EXAMPLE_SECRET_FILE", "")]).unwrap();
        assert!(empty_file.secret.is_none());
    }

    #[test]
    fn what_an_editor_adds_does_not_belong_to_a_value() {
        for port in ["8080\n", " 8080 ", "8080\r\n", "\t8080"] {
            assert_eq!(parse(&DATABASE, &[("EXAMPLE_PORT", port)]).unwrap().port, 8080, "{port:?}");
        }
        for (secret, meant) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s3cret \n", "s3cret ")] {
            let parsed = parse(&DATABASE, &[("EXAMPLE_SECRET", secret)]).unwrap();
            assert_eq!(parsed.secret.unwrap().expose_secret(), meant);
        }
        let tool = parse(&[DATABASE[0], DATABASE[1], "try"], &[("EXAMPLE_PATIENCE", "5\n")]).unwrap().tool;
        assert!(matches!(tool, Some(Tool::Try(Try { patience: 5 }))));
    }

    #[test]
    fn any_variable_can_be_in_a_file_and_a_database_knows_its_own() {
        let (_folder, port) = file("8080\n");
        let (_folder, secret) = file("s3cret\n");
        let (_folder, url) = file("postgresql+asyncpg://shop:s3cret@db/shop\n");
        let files = [
            ("EXAMPLE_PORT_FILE", &*port),
            ("EXAMPLE_SECRET_FILE", &*secret),
            ("EXAMPLE_DATABASE_URL_FILE", &*url),
        ];
        let parsed = parse(&[], &files).unwrap();
        assert_eq!((parsed.port, parsed.secret.unwrap().expose_secret()), (8080, "s3cret"));
        assert_eq!(parsed.database.expose(), "postgres://shop:s3cret@db/shop");
        assert_eq!(parsed.database.file().unwrap().to_str().unwrap(), url);
        assert!(parse(&DATABASE, &[]).unwrap().database.file().is_none());
        let other = parse(&["--database", "postgresql://other"], &files).unwrap();
        assert!(other.database.file().is_none(), "an argument takes precedence over the file");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_so_is_one_too_many() {
        let (_folder, empty) = file("\n");
        let (_folder, long) = file(&"s3cret".repeat(20_000));
        let refusal = |files: &[(&str, &str)]| {
            let told = format!("{:#}", parse(&[], files).unwrap_err());
            assert!(!told.contains("s3cret") && told.lines().count() == 1, "{told}");
            told
        };
        let missing = refusal(&[("EXAMPLE_DATABASE_URL_FILE", "/nowhere/uri")]);
        assert!(missing.starts_with("EXAMPLE_DATABASE_URL_FILE: /nowhere/uri: No such file"), "{missing}");
        assert!(refusal(&[("EXAMPLE_SECRET_FILE", &empty)]).ends_with("is empty"));
        assert!(refusal(&[("EXAMPLE_SECRET_FILE", &long)]).ends_with("has more than 65536 bytes"));
        assert_eq!(
            refusal(&[("EXAMPLE_PORT", "1"), ("EXAMPLE_PORT_FILE", "/nowhere")]),
            "EXAMPLE_PORT and EXAMPLE_PORT_FILE are both set: set only one"
        );
    }

    #[test]
    fn a_misspelt_mode_of_the_driver_stops_the_start() {
        let check = |mode: &str| check_driver(&|_| Some(mode.into()));
        assert!(check("verify-full").is_ok() && check("").is_ok() && check_driver(&|_| None).is_ok());
        assert!(check("verify_full").is_err() && check("true").is_err());
    }

    #[test]
    fn help_says_so_and_shows_no_value() {
        let (_folder, secret) = file("s3cret\n");
        let error = parse(&["--help"], &[("EXAMPLE_SECRET_FILE", &secret), ("EXAMPLE_PORT", "8080\n")]);
        let help = error.unwrap_err().to_string();
        assert!(help.contains("NAME_FILE") && !help.contains("s3cret"), "{help}");
    }
}
