//! What a source file says of modules and names.

use std::collections::BTreeSet;

use anyhow::anyhow;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written: `crate::a::b`.
pub(super) type Names = Vec<String>;

/// A file, without what is for tests alone.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// `mod name;`
    pub(super) modules: Vec<String>,
    /// What it defines.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// The paths in its code, imports aside.
    pub(super) paths: Vec<Names>,
    /// Every word of its code, imports aside.
    pub(super) words: BTreeSet<String>,
}

/// `use path as name`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Names,
    /// `*` for everything.
    pub(super) name: String,
    pub(super) is_public: bool,
}

impl Source {
    /// # Errors
    /// It is not Rust.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
        let mut source = Self::default();
        source.scan(tokens, 0);
        Ok(source)
    }

    /// Reads `tokens`, which stand in so many modules that are written out in this file.
    fn scan(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut is_public = false;
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_for_tests(rest.first()) => {
                    rest = behind_item(&rest[1..]);
                }
                TokenTree::Group(group) => self.scan(group.stream(), depth),
                TokenTree::Ident(ident) => {
                    let word = ident.to_string();
                    match (word.as_str(), rest) {
                        ("pub", _) => {
                            is_public = true;
                            if matches!(rest, [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis)
                            {
                                rest = &rest[1..];
                            }
                            continue;
                        }
                        // Not `use<'a>`, which is a bound.
                        ("use", [next, ..]) if !is(next, '<') => {
                            let end = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                            self.import(&rest[..end], &[], is_public, depth);
                            rest = &rest[end..];
                        }
                        ("mod", [TokenTree::Ident(name), next, ..]) => {
                            match next {
                                TokenTree::Group(inline) => self.scan(inline.stream(), depth + 1),
                                _ => self.modules.push(name.to_string()),
                            }
                            rest = &rest[2..];
                        }
                        (
                            "struct" | "enum" | "trait" | "fn" | "const" | "static" | "type" | "union",
                            [TokenTree::Ident(name), ..],
                        ) => {
                            self.items.insert(name.to_string());
                        }
                        _ => rest = self.path(word, rest, depth),
                    }
                }
                _ => {}
            }
            is_public = false;
        }
    }

    /// Reads a path that begins with `first`, and returns what stands behind it.
    fn path<'a>(&mut self, first: String, mut rest: &'a [TokenTree], depth: usize) -> &'a [TokenTree] {
        let mut path = vec![first];
        while let [colon, other, TokenTree::Ident(next), behind @ ..] = rest
            && is(colon, ':')
            && is(other, ':')
        {
            path.push(next.to_string());
            rest = behind;
        }
        self.words.extend(path.iter().cloned());
        if path.len() > 1 {
            self.paths.extend(in_file(path, depth));
        }
        rest
    }

    /// Reads a tree of imports below `prefix`.
    fn import(&mut self, tree: &[TokenTree], prefix: &[String], is_public: bool, depth: usize) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut rest = tree;
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                TokenTree::Ident(ident) if ident == "as" => {
                    name = behind.first().map(ToString::to_string);
                    break;
                }
                // `a::{self}` is `a`.
                TokenTree::Ident(ident) if ident == "self" && !path.is_empty() => {}
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Group(group) => {
                    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in trees.split(|token| is(token, ',')).filter(|tree| !tree.is_empty()) {
                        self.import(tree, &path, is_public, depth);
                    }
                    return;
                }
                token if is(token, '*') => name = Some("*".to_owned()),
                _ => {}
            }
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        if let Some(path) = in_file(path, depth) {
            self.imports.push(Import { path, name, is_public });
        }
    }
}

/// `path` as it would be written outside of `depth` inline modules; `None` for one that stays in them.
fn in_file(path: Names, depth: usize) -> Option<Names> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match ups {
        0 if depth > 0 && path[0] == "self" => None,
        0 => Some(path),
        ups if ups < depth => None,
        _ => {
            let mut outer = path[depth..].to_vec();
            if ups == depth && depth > 0 {
                outer.insert(0, "self".to_owned());
            }
            Some(outer)
        }
    }
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Whether `attribute` is `[cfg(test)]`, or one that asks for it among other things.
fn is_for_tests(attribute: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(attribute)) = attribute else { return false };
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// What stands behind the item, the field or the statement that `tokens` begin with.
fn behind_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_braces =
        |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let is_keyword = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ITEMS.iter().any(|item| ident == item));
    // A comma ends a field; in an item it stands between generics.
    let mut is_item = false;
    let ends = |token: &TokenTree| {
        is_item |= is_keyword(token);
        is(token, ';') || is_braces(token) || (is(token, ',') && !is_item)
    };
    let end = tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1);
    &tokens[end..]
}

/// What items begin with.
const ITEMS: [&str; 10] = ["const", "enum", "fn", "impl", "mod", "static", "struct", "trait", "type", "use"];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Names {
        path.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn imports_modules_items_and_paths_are_read_and_tests_are_not() {
        let source = Source::read(
            r#"
            //! crate::comment::Comment
            mod inner;
            pub(crate) use inner::{self, Thing as Other, deep::{A, B}};
            use super::{prelude::*, Up};
            fn f(x: Up) -> impl Sized + use<'_> { crate::a::g("crate::b::C", '"', call!(sibling::h())) }
            #[cfg(test)]
            mod tests;
            #[cfg(test)]
            fn only_in_tests() { crate::never::x() }
            #[cfg(test)]
            impl From<A, B> for crate::never::X { fn a() { crate::never::x() } }
            mod written_out { use super::Outer; use super::super::Above; fn inside() { self::own::x(); } }
            "#,
        )
        .unwrap();
        assert_eq!(source.modules, ["inner"]);
        assert_eq!(source.items.iter().collect::<Vec<_>>(), ["f", "inside"]);
        let imports: Vec<_> = source
            .imports
            .iter()
            .map(|import| (import.path.join("::"), import.name.as_str(), import.is_public))
            .collect();
        let expected = [
            ("inner", "inner", true),
            ("inner::Thing", "Other", true),
            ("inner::deep::A", "A", true),
            ("inner::deep::B", "B", true),
            ("super::prelude", "*", false),
            ("super::Up", "Up", false),
            ("self::Outer", "Outer", false),
            ("super::Above", "Above", false),
        ];
        assert_eq!(imports, expected.map(|(path, name, is_public)| (path.to_owned(), name, is_public)));
        assert_eq!(source.paths, ["crate::a::g", "sibling::h"].map(names));
    }
}
