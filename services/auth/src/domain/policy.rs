use std::{collections::HashSet, sync::LazyLock};

use clap::ValueEnum;
use shop_core::Email;

use super::password::{NewPassword, UnacceptablePassword};

/// The requirements for a new password, besides its length (NIST SP 800-63B, section 5.1.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PasswordPolicy {
    /// Long enough, and more than white space.
    #[default]
    Basic,
    /// Also not easy to guess: no common password, repetition or sequence, and neither the account's own address nor the shop's name.
    Strict,
}

/// In lower case, sorted, 8 characters or more: those of the 30,000 most common passwords in the frequency lists of zxcvbn
/// (<https://github.com/dropbox/zxcvbn>, MIT licence, Copyright 2012-2016 Dan Wheeler and Dropbox, Inc.), and some that are
/// common on Russian keyboards or where digits and signs are required.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Words that occur in this shop's name, or on every site.
const OWN_WORDS: [&str; 10] =
    ["shop", "shopshop", "myshop", "theshop", "shopdev", "магазин", "password", "пароль", "qwerty", "йцукен"];

impl PasswordPolicy {
    /// Whether `email`'s account may have this password.
    pub(crate) fn check(self, password: &NewPassword, email: &Email) -> Result<(), UnacceptablePassword> {
        let text = password.text().to_lowercase();
        match self {
            Self::Basic => Ok(()),
            Self::Strict if COMMON.contains(text.as_str()) || is_pattern(&text) => {
                Err(UnacceptablePassword::Common)
            }
            Self::Strict if is_own(&text, email) => Err(UnacceptablePassword::Personal),
            Self::Strict => Ok(()),
        }
    }
}

/// `aaaaaaaa`, `12121212`, `abcabcabc`; `abcdefgh`, `87654321`.
fn is_pattern(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let repeats = (1..=3).any(|unit| chars.iter().zip(&chars[unit.min(chars.len())..]).all(|(a, b)| a == b));
    let step = |pair: &[char]| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]));
    let steps: HashSet<i64> = chars.windows(2).map(step).collect();
    repeats || steps == HashSet::from([1]) || steps == HashSet::from([-1])
}

/// The address, a part of it, or the shop's name, surrounded only by digits and signs.
fn is_own(text: &str, email: &Email) -> bool {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let (local, domain) = email.parts();
    let shown = email.for_people();
    let site = shown.rsplit_once('@').map_or(domain, |(_, domain)| domain);
    let name = site.rsplit_once('.').map_or(site, |(name, _)| name);
    let own = [local, domain, site, name, email.as_str(), &shown].map(letters);
    let word = letters(text);
    // Digits and signs alone are not a name.
    !word.is_empty() && (own.contains(&word) || OWN_WORDS.contains(&word.as_str())) || own_digits(text, local)
}

/// The digits of an address such as a telephone number's.
fn own_digits(text: &str, local: &str) -> bool {
    local.chars().any(char::is_numeric) && text == local
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Password;

    fn check(policy: PasswordPolicy, password: &str) -> Result<(), UnacceptablePassword> {
        let email = "Anna.Karenina+1877@xn--80a1acny.xn--p1ai".parse().unwrap();
        policy.check(&Password::from(password).try_into().unwrap(), &email)
    }

    #[test]
    fn the_list_is_as_it_is_searched() {
        assert!(COMMON.len() > 11_000);
        for password in &*COMMON {
            assert!(password.chars().count() >= 8 && *password == password.to_lowercase(), "{password}");
        }
    }

    #[test]
    fn what_is_guessed_first_is_refused_by_the_strict_policy_alone() {
        use UnacceptablePassword::{Common, Personal};
        for (password, refusal) in [
            ("password", Common),
            ("PassWord", Common),
            ("password123", Common),
            ("P@ssw0rd", Common),
            ("qwertyuiop", Common),
            ("йцукенгш", Common),
            ("пароль123", Common),
            ("1q2w3e4r", Common),
            ("aaaaaaaa", Common),
            ("ыыыыыыыыы", Common),
            ("😀😀😀😀😀😀😀😀", Common),
            ("--------", Common),
            ("12121212", Common),
            ("abcabcabcab", Common),
            ("abcdefgh", Common),
            ("абвгдежз", Common),
            ("98765432", Common),
            ("anna.karenina+1877", Personal),
            ("AnnaKarenina", Personal),
            ("anna.karenina!2024", Personal),
            ("anna.karenina+1877@xn--80a1acny.xn--p1ai", Personal),
            ("почта.рф", Personal),
            ("почта123", Personal),
            ("shop2024!", Personal),
            ("Shop-Shop", Personal),
            ("Магазин1", Personal),
            ("password!!2031", Personal),
        ] {
            assert_eq!(check(PasswordPolicy::Strict, password), Err(refusal), "{password}");
            assert_eq!(check(PasswordPolicy::Basic, password), Ok(()), "{password}");
        }
    }

    #[test]
    fn what_is_not_guessed_first_is_taken() {
        for password in
            ["correct horse battery staple", "Xk7-pq2w", "моя бабушка курит трубку", "83920174", "a@b8kqzz"]
        {
            assert_eq!(check(PasswordPolicy::Strict, password), Ok(()), "{password}");
        }
    }
}
