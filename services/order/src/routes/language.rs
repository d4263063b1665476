use http::{HeaderMap, header};
use shop_core::Language;

/// The longest list of languages that is read.
const MOST_RANGES: usize = 32;

/// The language that `Accept-Language` (RFC 9110, section 12.5.4) prefers; `None` without that header, or if it names no language
/// that the shop speaks. Of equally preferred ones, the first.
pub(super) fn preferred(headers: &HeaderMap) -> Option<Language> {
    let header = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(Language, f32)> = None;
    for range in header.split(',').take(MOST_RANGES) {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let quality = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
        let (Some(language), Some(quality)) = (Language::of_tag(tag.trim()), quality) else { continue };
        if quality > 0.0 && best.is_none_or(|(_, known)| quality > known) {
            best = Some((language, quality));
        }
    }
    best.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_is_the_customers() {
        for (value, expected) in [
            ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", Some(Language::Russian)),
            ("en-GB, en;q=0.9", Some(Language::English)),
            ("de;q=0.9, ru;q=0.1, en;q=0.5", Some(Language::English)),
            ("ru;q=0, en;q=0.1", Some(Language::English)),
            ("de", None),
            ("*", None),
            ("", None),
            (",,;;q=,ru;q=x", None),
        ] {
            let headers = [(header::ACCEPT_LANGUAGE, value.parse().unwrap())].into_iter().collect();
            assert_eq!(preferred(&headers), expected, "{value}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
