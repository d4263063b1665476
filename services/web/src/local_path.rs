use std::fmt;

use url::Url;

/// The longest path that is carried around; a longer one is dropped.
const LONGEST: usize = 512;

/// A path of the storefront, query included: where to go on after logging in or switching the language.
///
/// It comes from the address bar or a form, so anybody may have written it. What could lead a browser to another host
/// (`//host`, `/\host`, a scheme, control characters that browsers drop) is never one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// The path that `text` is, if it is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_suspect = |c: char| c.is_control() || c == '\\';
        if !text.starts_with('/')
            || text.starts_with("//")
            || text.len() > LONGEST
            || text.contains(is_suspect)
        {
            return None;
        }
        // Resolved as a browser does it: the host must stay the same, and the path must not begin with two slashes once its dots
        // are resolved.
        let base = Url::parse("http://local.invalid").ok()?;
        let url = base.join(text).ok()?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        (url.host_str() == base.host_str() && !path.starts_with("//")).then(|| Self(path.to_owned()))
    }

    /// The path that `text` is, or the home page.
    pub(crate) fn or_home(text: Option<&str>) -> Self {
        text.and_then(Self::parse).unwrap_or_else(|| Self("/".to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `path` with this one as its `next` parameter.
    pub(crate) fn after(&self, path: &str) -> String {
        let query = serde_urlencoded::to_string([("next", self.as_str())]).unwrap_or_default();
        format!("{path}?{query}")
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_storefront_is_kept_with_its_query() {
        for path in ["/", "/cart", "/orders/0190?x=1", "/catalog?q=%D1%87%D0%B0%D0%B9&category=tea"] {
            assert_eq!(LocalPath::parse(path).unwrap().as_str(), path);
        }
        assert_eq!(LocalPath::parse("/cart#total").unwrap().as_str(), "/cart");
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_path() {
        let long = format!("/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "cart",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "/.//evil.example",
            "/x/..//evil.example",
            " /cart",
            "/\0",
            &long,
        ] {
            assert_eq!(LocalPath::parse(text), None, "{text:?}");
        }
        assert_eq!(LocalPath::or_home(Some("//evil.example")).as_str(), "/");
    }

    #[test]
    fn the_next_parameter_is_encoded() {
        assert_eq!(
            LocalPath::parse("/catalog?q=a&b=c").unwrap().after("/login"),
            "/login?next=%2Fcatalog%3Fq%3Da%26b%3Dc"
        );
    }
}
