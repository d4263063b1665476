//! CONTRIBUTING.md quotes the code and names files and tests. Each of its quotes is in the file that it names, as it is written there.

use crate::{
    tests_named::{self, words},
    tree,
};

const GUIDE: &str = "CONTRIBUTING.md";

/// A quote: a fenced block whose first line names a file, such as ```` ```rust path=crates/core/src/events.rs ````.
struct Quote {
    path: String,
    lines: Vec<String>,
}

fn quotes(guide: &str) -> Vec<Quote> {
    let mut quotes = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        // The recipes are lists, so a fence may be indented.
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let quoted =
            lines.by_ref().take_while(|line| line.trim() != "```").map(|line| line.trim().to_owned());
        let quoted: Vec<String> = quoted.collect();
        if let Some((_, path)) = info.split_once("path=") {
            quotes.push(Quote { path: path.trim().to_owned(), lines: quoted });
        }
    }
    quotes
}

/// Whether `part` is in `text`, line after line, whatever the indentation.
fn find(text: &[&str], part: &[String]) -> Option<usize> {
    text.windows(part.len()).position(|window| window.iter().zip(part).all(|(line, quoted)| line == quoted))
}

impl Quote {
    /// The parts between the lines `…` are in the file, in their order.
    fn check(&self) -> Result<(), String> {
        let text = tree::read(&self.path);
        let mut rest: Vec<&str> = text.lines().map(str::trim).collect();
        for part in self.lines.split(|line| line == "…" || line == "// …" || line == "# …") {
            if part.is_empty() {
                continue;
            }
            let Some(found) = find(&rest, part) else {
                return Err(format!("{} has no such lines:\n{}", self.path, part.join("\n")));
            };
            rest.drain(..found + part.len());
        }
        Ok(())
    }
}

/// The part of the guide that holds the recipes.
fn recipes() -> String {
    let guide = tree::read(GUIDE);
    let (_, rest) = guide.split_once("\n## Recipes\n").expect("the recipes");
    rest.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn what_is_quoted_is_in_the_code() {
    let quotes = quotes(&tree::read(GUIDE));
    assert!(quotes.len() >= 10, "only {} quotes", quotes.len());
    let wrong: Vec<String> = quotes.iter().filter_map(|quote| quote.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_quote_that_is_not_in_the_code_is_found() {
    let quote = |path: &str, lines: &[&str]| Quote {
        path: path.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    quote("Cargo.toml", &["[workspace]", "…", "[workspace.package]"]).check().unwrap();
    for wrong in
        [["[workspace]", "[workspace.package]"], ["[workspace.package]", "[workspace]"], ["[house]", ""]]
    {
        assert!(quote("Cargo.toml", &wrong).check().is_err(), "{wrong:?}");
    }
    assert!(quote("Cargo.toml", &["[workspace.package]", "…", "[workspace]"]).check().is_err(), "the order");
}

#[test]
fn the_files_that_the_recipes_name_are_there() {
    let is_path = |word: &&String| {
        let known = ["crates/", "services/", "charts/", "tests/", "docs/", "xtask/", "deploy/"];
        known.iter().any(|folder| word.starts_with(folder)) && !word.contains(['<', '…', '*', ' '])
    };
    let words = words(&recipes());
    let paths: Vec<&String> = words.iter().filter(is_path).collect();
    assert!(paths.len() >= 20, "only {} paths", paths.len());
    for path in paths {
        tree::assert_exists(path, GUIDE);
    }
}

#[test]
fn the_tests_that_the_recipes_name_are_there() {
    let words = words(&recipes());
    let named: Vec<&str> = words.iter().filter_map(|word| tests_named::test(word)).collect();
    assert!(named.len() >= 10, "only {} tests", named.len());
    tests_named::assert_declared(&named, GUIDE);
}
