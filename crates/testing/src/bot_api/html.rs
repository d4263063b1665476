//! Telegram's HTML, as far as bots can get it wrong.

/// Tags that a message may have. Only `a` has attributes here.
const TAGS: [&str; 13] =
    ["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote"];

/// Returns the visible text of a message.
///
/// # Errors
/// The Bot API's error message for invalid markup.
pub(super) fn visible(html: &str) -> Result<String, String> {
    let mut visible = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        visible.push_str(&rest[..at]);
        let offset = html.len() - rest.len() + at;
        rest = &rest[at..];
        if rest.starts_with('&') {
            let (character, length) = entity(rest);
            visible.push(character);
            rest = &rest[length..];
            continue;
        }
        let end = rest.find('>').ok_or_else(|| format!("Unclosed start tag at byte offset {offset}"))?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("Unmatched end tag at byte offset {offset}"));
            }
            continue;
        }
        let name = tag.split(' ').next().unwrap_or_default();
        if !TAGS.contains(&name) || (name != tag && name != "a") {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {offset}"));
        }
        open.push(name);
    }
    visible.push_str(rest);
    match open.pop() {
        Some(name) => Err(format!("Can't find end tag corresponding to start tag \"{name}\"")),
        None => Ok(visible),
    }
}

/// The character that `text` begins with, and its length in bytes. An `&` that begins no entity stands for itself.
fn entity(text: &str) -> (char, usize) {
    let named = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')];
    named
        .into_iter()
        .find(|(name, _)| text.starts_with(name))
        .map_or(('&', 1), |(name, character)| (character, name.len()))
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn markup_is_taken_away() {
        assert_eq!(visible("<b>a &lt;b&gt;</b> &amp;&amp; c").unwrap(), "a <b> && c");
        assert_eq!(visible("<b><i>x</i></b> & y &copy;").unwrap(), "x & y &copy;");
        assert_eq!(visible("<a href=\"https://example.com\">ы</a>").unwrap(), "ы");
    }

    #[test]
    fn wrong_markup_is_refused_in_the_apis_words() {
        assert_eq!(visible("x <large>").unwrap_err(), "Unsupported start tag \"large\" at byte offset 2");
        assert_eq!(visible("<b>x").unwrap_err(), "Can't find end tag corresponding to start tag \"b\"");
        assert_eq!(visible("<b>x</i>").unwrap_err(), "Unmatched end tag at byte offset 4");
        assert_eq!(visible("1 < 2").unwrap_err(), "Unclosed start tag at byte offset 2");
    }
}
