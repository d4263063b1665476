//! Secrets that protect something: they must be neither the documentation's examples nor easy to guess.

use std::collections::BTreeSet;

use clap::{ArgAction, Args};
use secrecy::{ExposeSecret as _, SecretString};

/// Whether this is a demonstration.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Demo {
    /// `true`: this is a demonstration that nobody else can reach, and may use the documentation's example secrets
    #[arg(id = "demo", long = "demo", env = "SHOP_DEMO", action = ArgAction::Set, default_value_t = false)]
    pub is_on: bool,
}

/// The requirements for a secret.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    /// Its variable.
    pub variable: &'static str,
    /// The documentation's example, which a demonstration may use.
    pub example: Option<&'static str>,
    /// Its minimum length in bytes, and the rule that requires it.
    pub least: Option<(usize, &'static str)>,
}

/// With fewer distinct bytes than this, it is not secret, however long it is.
const LEAST_DIFFERENT: usize = 6;

impl Secret {
    /// Checks a given secret.
    ///
    /// # Errors
    /// It is the documentation's example outside a demonstration, a placeholder, too short, or too regular to be random.
    pub fn check(&self, given: &SecretString, demo: Demo) -> anyhow::Result<()> {
        let Self { variable, example, least } = *self;
        let given = given.expose_secret();
        if example.is_some_and(|example| given == example) {
            anyhow::ensure!(
                demo.is_on,
                "{variable} is the documentation's example, which everybody knows: generate your own \
                 (openssl rand -base64 48), or set SHOP_DEMO=true for a demonstration that nobody else can reach"
            );
            tracing::warn!(
                "{variable} is the documentation's example, which everybody knows: use it only in a demonstration"
            );
            return Ok(());
        }
        anyhow::ensure!(
            !is_placeholder(given),
            "{variable} still contains a placeholder: generate your own (openssl rand -base64 48)"
        );
        if let Some((least, rule)) = least {
            anyhow::ensure!(
                given.len() >= least,
                "{variable} has {} bytes and needs {least} ({rule})",
                given.len()
            );
            anyhow::ensure!(
                !is_regular(given.as_bytes()),
                "{variable} repeats itself, so it can be guessed: generate a random one (openssl rand -base64 48)"
            );
        }
        Ok(())
    }
}

fn is_placeholder(secret: &str) -> bool {
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.to_ascii_lowercase().contains("changeme")
}

/// Whether it has only a few distinct bytes, or repeats a short word.
fn is_regular(secret: &[u8]) -> bool {
    let different: BTreeSet<u8> = secret.iter().copied().collect();
    let repeats =
        |period: usize| secret.iter().zip(secret.iter().skip(period)).all(|(one, other)| one == other);
    different.len() < LEAST_DIFFERENT || (1..=secret.len() / 2).any(repeats)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret {
        variable: "EXAMPLE_SECRET",
        example: Some("change_me_example"),
        least: Some((32, "as a rule")),
    };

    fn check(secret: &str, is_on: bool) -> Result<(), String> {
        SECRET.check(&secret.into(), Demo { is_on }).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_is_for_a_demonstration_alone() {
        insta::assert_snapshot!(
            check("change_me_example", false).unwrap_err(),
            @"EXAMPLE_SECRET is the documentation's example, which everybody knows: generate your own (openssl rand -base64 48), or set SHOP_DEMO=true for a demonstration that nobody else can reach"
        );
        assert_eq!(check("change_me_example", true), Ok(()));
    }

    #[test]
    fn what_can_be_guessed_is_refused_in_a_demonstration_too() {
        for secret in [
            "change_me".to_owned(),
            "change_me_example2".to_owned(),
            "change_me_and_forty_more_bytes_0123456789".to_owned(),
            "CHANGE-ME-and-forty-more-bytes-0123456789".to_owned(),
            "short".to_owned(),
            "x".repeat(64),
            "0123456789abcdef".repeat(2),
            "password".repeat(5),
            "ababcabababcababcabcabcaabcbabcababc".to_owned(),
        ] {
            for demo in [true, false] {
                let told = check(&secret, demo).unwrap_err();
                assert!(told.starts_with("EXAMPLE_SECRET ") && told.lines().count() == 1, "{told}");
            }
        }
    }

    #[test]
    fn a_random_secret_of_any_alphabet_is_accepted() {
        for secret in [
            "4f1c0b7e9d2a4c558861b0d3f7a9e6c2",
            "8dUGVX0lXwq0V1pTj4mJq3s9y7ZbN2kR5cHfA6eQxYw=",
            "a sentence that nobody else would come upon",
            "82640917365028174639501827364501",
        ] {
            assert_eq!(check(secret, false), Ok(()), "{secret}");
        }
    }
}
