//! Documents that name the tests which show what they say.

use std::collections::BTreeSet;

use crate::tree;

/// The texts between backticks, fenced blocks left out.
pub(crate) fn words(document: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let prose = document.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    });
    let prose: Vec<&str> = prose.collect();
    prose.join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The test that `word` names, such as `faults::a_slow_broker_is_waited_for`, without its modules. `None` if it is something else.
pub(crate) fn test(word: &str) -> Option<&str> {
    let (_, test) = word.rsplit_once("::").unwrap_or(("", word));
    let begun = test.trim_end_matches('…');
    let is_name = begun.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (is_name && begun.matches('_').count() >= 3).then_some(test)
}

/// Every one of `named` is a function somewhere, or a case of a macro. A name may end in `…`.
pub(crate) fn assert_declared(named: &[&str], document: &str) {
    let sources = tree::sources_and_tests();
    let is_declared = |test: &str| {
        let declared = match test.strip_suffix('…') {
            Some(begun) => [format!("fn {begun}"), format!("    {begun}")],
            None => [format!("fn {test}("), format!("    {test},")],
        };
        sources.iter().any(|source| declared.iter().any(|declared| source.contains(declared)))
    };
    let missing: Vec<&&str> = named.iter().filter(|test| !is_declared(test)).collect();
    assert!(missing.is_empty(), "{document} names what is no test: {missing:#?}");
}

#[test]
fn the_tests_that_show_what_is_promised_are_there() {
    for (document, least) in [("docs/guarantees.md", 60), ("docs/saga.md", 20), ("docs/tracing.md", 3)] {
        let words = words(&tree::read(document));
        let named: Vec<&str> = words.iter().filter_map(|word| test(word)).collect();
        assert!(named.len() >= least, "{document}: only {} tests", named.len());
        assert_declared(&named, document);
    }
}

#[test]
fn a_test_is_told_from_other_names() {
    assert_eq!(test("faults::broker::a_row_that_is_large"), Some("a_row_that_is_large"));
    assert_eq!(test("a_row_that_is_…"), Some("a_row_that_is_…"));
    for word in
        ["outbox_messages", "outbox_faults::…", "spec.requiredQueues", "ORDER_PENDING_TIMEOUT_SECONDS"]
    {
        assert_eq!(test(word), None, "{word}");
    }
}
