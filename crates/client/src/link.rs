//! The `Link` header (RFC 8288), as far as lists need it.

use http::{HeaderMap, header};
use url::Url;

/// The cursor of the next page: the query's `cursor` in the target of the link whose relation is `next`.
///
/// Nothing else of the link is used, so that a response cannot send the caller, and its token, elsewhere.
pub(crate) fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let target = values.flat_map(|value| split(value, ',')).find_map(next)?;
    // Only the query is used, so any base will do for a relative target.
    let url = Url::parse("http://upstream.invalid").ok()?.join(target).ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

/// The target of `link` if its relation is `next`: `<target>; name=value; name="value"`.
fn next(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = split(parameters, ';').filter_map(|parameter| parameter.split_once('='));
    // The first one counts (section 3.3), and it may list several relations.
    let (_, relations) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))?;
    let mut relations = relations.trim().trim_matches('"').split_ascii_whitespace();
    relations.any(|relation| relation.eq_ignore_ascii_case("next")).then_some(target)
}

/// Splits at `separator`, except inside `<…>` and quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut in_target, mut in_quotes, mut is_escaped) = (false, false, false);
    text.split(move |c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' if !in_target => in_quotes = !in_quotes,
            '<' if !in_quotes => in_target = true,
            '>' if !in_quotes => in_target = false,
            c => return c == separator && !in_target && !in_quotes,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(links: &[&'static str]) -> Option<String> {
        next_cursor(&links.iter().map(|link| (header::LINK, link.parse().unwrap())).collect())
    }

    #[test]
    fn the_next_cursor_is_read_in_every_spelling_of_a_link() {
        for (links, expected) in [
            (&["</products?limit=2&cursor=a%3D%3D>; rel=\"next\""][..], "a=="),
            (
                &["<http://c/products?cursor=x>; rel=\"prev\", <http://c/products?cursor=y>; rel=\"next\""],
                "y",
            ),
            (&["<http://c/p?cursor=x>; rel=prev", "<http://c/p?cursor=y>; rel=next"], "y"),
            (&["<http://x/?cursor=p>; rel=\"prev\" , <http://evil/?cursor=n>; rel=\"next\""], "n"),
            (&["<?cursor=c>;REL=\"Next\""], "c"),
            (&["</p?ids=1,2;3&cursor=c>; title=\"a, \\\"b\\\"; rel=prev\"; rel=\"last next\""], "c"),
            (&["</p?cursor=c> ; rel = \"next\""], "c"),
        ] {
            assert_eq!(cursor(links).as_deref(), Some(expected), "{links:?}");
        }
    }

    #[test]
    fn without_a_next_link_there_is_no_next_page() {
        for links in [
            &[][..],
            &[""],
            &["nonsense"],
            &["rubbish; rel=\"next\""],
            &["</products>; rel=\"next\""],
            &["</p?cursor=x>; rel=\"prev\""],
            &["</p?cursor=x>; rel=\"prev\"; rel=\"next\""],
            &["</p?cursor=x>; title=\"; rel=next\""],
            &["</p?cursor=x>; rel=\"nextish\""],
            &["</p?cursor=x"],
        ] {
            assert_eq!(cursor(links), None, "{links:?}");
        }
    }
}
