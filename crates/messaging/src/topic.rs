//! Topic matching as AMQP 0-9-1 specifies it (section 3.1.3.3): keys are words between dots, `*` stands for exactly one
//! word and `#` for any number of words, none included.

/// Whether a queue bound with `pattern` gets a message with `key`.
pub(crate) fn matches(pattern: &str, key: &str) -> bool {
    let key: Vec<&str> = words(key).collect();
    // reached[n]: the part of the pattern that was read so far matches the first n words of the key.
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    for word in words(pattern) {
        if word == "#" {
            let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for n in (0..key.len()).rev() {
                reached[n + 1] = reached[n] && (word == "*" || word == key[n]);
            }
            reached[0] = false;
        }
    }
    reached[key.len()]
}

/// An empty key has no words, and dots at its ends have empty words beside them: RabbitMQ's reading.
fn words(key: &str) -> impl Iterator<Item = &str> {
    (!key.is_empty()).then(|| key.split('.')).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word by word, with no thought for its cost.
    fn by_definition(pattern: &[String], key: &[String]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((word, rest)), _) if word == "#" => {
                (0..=key.len()).any(|taken| by_definition(rest, &key[taken..]))
            }
            (Some(_), None) => false,
            (Some((word, rest)), Some((first, others))) => {
                (word == "*" || word == first) && by_definition(rest, others)
            }
        }
    }

    #[test]
    fn stars_take_one_word_and_hashes_any_number() {
        for (pattern, key, expected) in [
            ("order.created", "order.created", true),
            ("order.created", "order.created.again", false),
            ("order.*", "order.created", true),
            ("order.*", "order", false),
            ("order.#", "order", true),
            ("order.#", "order.created.again", true),
            ("#", "", true),
            ("*", "", false),
            ("#.created", "order.item.created", true),
            ("*.#.*", "order", false),
            ("*.#.*", "order.created", true),
            ("order.*", "order.", true),
            ("Order.created", "order.created", false),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern:?} on {key:?}");
        }
    }

    #[test]
    fn many_hashes_cost_no_more_than_few() {
        let pattern = "#.a.".repeat(60) + "b";
        assert!(!matches(&pattern, &["a"; 120].join(".")));
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(
            pattern in prop::collection::vec("[ab]|[*]|#", 0..7),
            key in prop::collection::vec("[ab]", 0..7),
        ) {
            let expected = by_definition(&pattern, &key);
            prop_assert_eq!(matches(&pattern.join("."), &key.join(".")), expected);
        }
    }
}
