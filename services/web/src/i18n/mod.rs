//! Russian and English: which one a visitor reads, every text of the storefront, and how numbers and dates look.
//!
//! Names and descriptions of products are the catalog's and are shown as they are.

mod format;
mod texts;

use axum::http::{HeaderMap, header};
use serde::Deserialize;

pub(crate) use texts::Texts;

/// A language of the storefront.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lang {
    Ru,
    En,
}

impl Lang {
    /// Its BCP 47 code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Ru => "ru",
            Self::En => "en",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        match code {
            "ru" => Some(Self::Ru),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The one that the switch offers.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Ru => Self::En,
            Self::En => Self::Ru,
        }
    }

    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ru => "Русский",
            Self::En => "English",
        }
    }

    /// Every text in this language.
    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Self::Ru => &texts::RU,
            Self::En => &texts::EN,
        }
    }

    /// The language that `Accept-Language` (RFC 9110, section 12.5.4) likes best. Who says nothing reads Russian, and
    /// who reads neither language English.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::Ru;
        };
        let mut best: Option<(Self, f32)> = None;
        for range in header.split(',').take(32) {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let quality = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
            let (Some(lang), Some(quality)) = (Self::from_code(&primary), quality) else { continue };
            if quality > 0.0 && best.is_none_or(|(_, known)| quality > known) {
                best = Some((lang, quality));
            }
        }
        best.map_or(Self::En, |(lang, _)| lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(header: &str) -> Lang {
        Lang::negotiate(&[(header::ACCEPT_LANGUAGE, header.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn the_best_liked_language_is_chosen() {
        assert_eq!(negotiated("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7"), Lang::Ru);
        assert_eq!(negotiated("en-US,en;q=0.9,ru;q=0.8"), Lang::En);
        assert_eq!(negotiated("de-DE, RU;q=0.3, en;q=0.1"), Lang::Ru);
        assert_eq!(negotiated("ru;q=0, en;q=0.1"), Lang::En);
    }

    #[test]
    fn rubbish_and_foreign_languages_read_english_and_silence_russian() {
        for header in ["de", "*", "", ",,;;q=", "ru;q=x"] {
            assert_eq!(negotiated(header), Lang::En, "{header:?}");
        }
        assert_eq!(Lang::negotiate(&HeaderMap::new()), Lang::Ru);
    }
}
