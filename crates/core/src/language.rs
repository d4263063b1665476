use serde::{Deserialize, Serialize};

/// A language in which the shop addresses people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// `en`
    #[serde(rename = "en")]
    English,
    /// `ru`
    #[serde(rename = "ru")]
    Russian,
}

impl Language {
    /// Its code in BCP 47.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The language of a BCP 47 tag such as `ru`, `ru-RU` or `ru_UA`, in any case. `None` if the shop does not support it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        [Self::English, Self::Russian]
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.code()))
    }

    /// The text in this language.
    pub fn choose<T>(self, english: T, russian: T) -> T {
        match self {
            Self::English => english,
            Self::Russian => russian,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_language_by_its_first_part() {
        for tag in ["ru", "RU", "ru-RU", "ru_UA"] {
            assert_eq!(Language::of_tag(tag), Some(Language::Russian), "{tag}");
        }
        for tag in ["en", "en-GB"] {
            assert_eq!(Language::of_tag(tag), Some(Language::English), "{tag}");
        }
        for tag in ["", "-", "de-DE", "run", "*", "e"] {
            assert_eq!(Language::of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn it_is_written_as_its_code() {
        for language in [Language::English, Language::Russian] {
            let json = format!("\"{}\"", language.code());
            assert_eq!(serde_json::to_string(&language).unwrap(), json);
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
    }
}
