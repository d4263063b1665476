use axum::http::{HeaderMap, header};
use shop_core::Language;

/// The language that `Accept-Language` (RFC 9110, section 12.5.4) prefers: Russian without that header, and English when it
/// names neither of the two.
pub(crate) fn negotiate(headers: &HeaderMap) -> Language {
    let Some(header) = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
        return Language::Russian;
    };
    let mut best: Option<(Language, f32)> = None;
    for range in header.split(',').take(32) {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let quality = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
        let (Some(language), Some(quality)) = (Language::of_tag(tag.trim()), quality) else { continue };
        if quality > 0.0 && best.is_none_or(|(_, known)| quality > known) {
            best = Some((language, quality));
        }
    }
    best.map_or(Language::English, |(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(header: &str) -> Language {
        negotiate(&[(header::ACCEPT_LANGUAGE, header.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn the_preferred_language_is_chosen() {
        assert_eq!(negotiated("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7"), Language::Russian);
        assert_eq!(negotiated("en-US,en;q=0.9,ru;q=0.8"), Language::English);
        assert_eq!(negotiated("de-DE, RU;q=0.3, en;q=0.1"), Language::Russian);
        assert_eq!(negotiated("ru;q=0, en;q=0.1"), Language::English);
    }

    #[test]
    fn without_the_header_it_is_russian_and_with_neither_language_english() {
        for header in ["de", "*", "", ",,;;q=", "ru;q=x"] {
            assert_eq!(negotiated(header), Language::English, "{header:?}");
        }
        assert_eq!(negotiate(&HeaderMap::new()), Language::Russian);
    }
}
