//! `cargo xtask ci`: no circle between the files of a crate. In a circle, `a` uses what `b` defines and `b` what `a` defines, over
//! however many files, so that none of them can be understood without all the others.
//!
//! A name is looked up where it is defined: a re-export is seen through, and makes no circle by itself. Tests are left out.

mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use self::source::{Import, Names, Source};
use crate::shell;

/// Re-exports of re-exports are followed so far.
const DEEPEST: usize = 20;

/// Fails if there is a circle.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = shell::root();
    let mut circles = Vec::new();
    for file in crates(&root)? {
        circles.extend(Crate::read(&file)?.circles());
    }
    if !circles.is_empty() {
        let name = |file: &PathBuf| file.strip_prefix(&root).unwrap_or(file).display().to_string();
        let line = |files: &Vec<PathBuf>| files.iter().map(name).collect::<Vec<_>>().join(", ");
        bail!("files that use one another:\n{}", circles.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// The files that crates begin with.
fn crates(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if matches!(name.as_str(), "lib.rs" | "main.rs") {
            roots.push(path);
        } else if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            roots.extend(crates(&path)?);
        }
    }
    Ok(roots)
}

/// The modules of a crate that have a file; the first is its root.
struct Crate(Vec<Module>);

struct Module {
    file: PathBuf,
    parent: usize,
    /// With their names.
    children: Vec<(String, usize)>,
    source: Source,
}

/// Where a path leads: a module, and what is left of the path in it.
type Place<'a> = (usize, &'a [String]);

impl Crate {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let mut this = Self(Vec::new());
        this.add(root, 0)?;
        Ok(this)
    }

    /// Adds the module in `file` and all below it; returns its index.
    fn add(&mut self, file: &Path, parent: usize) -> anyhow::Result<usize> {
        let source =
            fs::read_to_string(file).map_err(anyhow::Error::from).and_then(|text| Source::read(&text));
        let source = source.with_context(|| file.display().to_string())?;
        let modules = source.modules.clone();
        let index = self.0.len();
        self.0.push(Module { file: file.to_owned(), parent, children: Vec::new(), source });
        let owns_folder =
            matches!(file.file_stem().and_then(|stem| stem.to_str()), Some("lib" | "main" | "mod"));
        let folder =
            if owns_folder { file.parent().unwrap_or(file).to_owned() } else { file.with_extension("") };
        for name in modules {
            let places = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            if let Some(file) = places.iter().find(|file| file.exists()) {
                let child = self.add(file, index)?;
                self.0[index].children.push((name, child));
            }
        }
        Ok(index)
    }

    fn child(&self, module: usize, name: &str) -> Option<usize> {
        self.0[module].children.iter().find(|(child, _)| child == name).map(|(_, index)| *index)
    }

    fn import(&self, module: usize, name: &str) -> Option<&Import> {
        self.0[module].source.imports.iter().find(|import| import.name == name)
    }

    /// Where `path`, written in `module`, leads; `None` for another crate.
    fn resolve<'a>(&'a self, module: usize, path: &'a [String], depth: usize) -> Option<Place<'a>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, depth),
            "self" => self.walk(module, rest, depth),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let above = (0..ups).fold(module, |module, _| self.0[module].parent);
                self.walk(above, &path[ups..], depth)
            }
            name => match (self.child(module, name), self.import(module, name)) {
                (Some(child), _) => self.walk(child, rest, depth),
                (None, Some(import)) if import.path.first() != Some(first) => {
                    self.through(module, import, rest, depth)
                }
                _ => None,
            },
        }
    }

    /// Where `path` leads from `module` down.
    fn walk<'a>(&'a self, module: usize, path: &'a [String], depth: usize) -> Option<Place<'a>> {
        let Some((first, rest)) = path.split_first() else { return Some((module, path)) };
        if let Some(child) = self.child(module, first) {
            return self.walk(child, rest, depth);
        }
        let source = &self.0[module].source;
        if source.items.contains(first) {
            return Some((module, path));
        }
        if let Some(import) = self.import(module, first) {
            return self.through(module, import, rest, depth);
        }
        let globs = source.imports.iter().filter(|import| import.name == "*");
        let mut below = globs.filter_map(|import| self.resolve(module, &import.path, depth + 1));
        let found = below.find(|(glob, left)| left.is_empty() && *glob != module && self.knows(*glob, first));
        match found {
            Some((glob, _)) if depth < DEEPEST => self.walk(glob, path, depth + 1),
            // A macro's own, or a variant's.
            _ => Some((module, path)),
        }
    }

    /// Where `rest` leads behind `import`.
    fn through<'a>(
        &'a self,
        module: usize,
        import: &'a Import,
        rest: &'a [String],
        depth: usize,
    ) -> Option<Place<'a>> {
        if depth > DEEPEST {
            return None;
        }
        match self.resolve(module, &import.path, depth + 1)? {
            (found, []) => self.walk(found, rest, depth + 1),
            item => Some(item),
        }
    }

    fn knows(&self, module: usize, name: &str) -> bool {
        self.0[module].source.items.contains(name)
            || self.child(module, name).is_some()
            || self.import(module, name).is_some()
    }

    /// The modules whose items `module` uses.
    fn used_by(&self, module: usize) -> BTreeSet<usize> {
        let source = &self.0[module].source;
        let is_used = |import: &&Import| !import.is_public || source.words.contains(&import.name);
        let imported = source.imports.iter().filter(is_used).filter(|import| import.name != "*");
        let paths = imported.map(|import| &import.path).chain(&source.paths);
        paths
            .filter_map(|path: &Names| self.resolve(module, path, 0))
            // A module by itself is not used before something in it is.
            .filter(|(used, item)| *used != module && !item.is_empty())
            .map(|(used, _)| used)
            .collect()
    }

    /// The files of each circle.
    fn circles(&self) -> Vec<Vec<PathBuf>> {
        let uses: Vec<BTreeSet<usize>> = (0..self.0.len()).map(|module| self.used_by(module)).collect();
        let reached = |from: usize| {
            let mut reached = BTreeSet::new();
            let mut next: Vec<usize> = uses[from].iter().copied().collect();
            while let Some(module) = next.pop() {
                if reached.insert(module) {
                    next.extend(&uses[module]);
                }
            }
            reached
        };
        let reached: Vec<BTreeSet<usize>> = (0..self.0.len()).map(reached).collect();
        let circle = |module: usize| {
            let members = reached[module].iter().filter(|other| reached[**other].contains(&module));
            members.map(|member| self.0[*member].file.clone()).collect::<Vec<_>>()
        };
        let circles: BTreeSet<Vec<PathBuf>> =
            (0..self.0.len()).map(circle).filter(|files| files.len() > 1).collect();
        circles.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate that has these files, by their names.
    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let circles = Crate::read(&folder.path().join("lib.rs")).unwrap().circles();
        let name = |file: &PathBuf| file.strip_prefix(folder.path()).unwrap().display().to_string();
        circles.iter().map(|files| files.iter().map(name).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn files_that_use_one_another_are_found() {
        let two = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use super::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; impl B { fn a() -> crate::a::A { todo() } }"),
        ];
        assert_eq!(circles(&two), ["a.rs b.rs"]);
        let three = [
            ("lib.rs", "mod a; mod b; mod c; pub use a::A; use b::B; fn f(_: B) {}"),
            ("a.rs", "use super::b::B; pub struct A(B);"),
            ("b.rs", "use crate::c; pub struct B; fn c() { c::run() }"),
            // Through the root's re-export.
            ("c/mod.rs", "use crate::A; pub fn run() -> A { todo() }"),
        ];
        assert_eq!(circles(&three), ["a.rs b.rs c/mod.rs"]);
        let parent = [
            ("lib.rs", "mod app;"),
            ("app/mod.rs", "mod route; pub struct App; fn f() { routes!(route::handle) }"),
            ("app/route.rs", "use super::App; pub fn handle(_: App) {}"),
        ];
        assert_eq!(circles(&parent), ["app/mod.rs app/route.rs"]);
    }

    #[test]
    fn what_only_looks_like_a_circle_is_none() {
        let re_export = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::A; }"),
        ];
        assert_eq!(circles(&re_export), Vec::<String>::new());
        let siblings = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod x; mod y; pub use self::{x::*, y::Y}; use std::fmt;"),
            (
                "a/x.rs",
                "use super::Y; use serde::x; pub struct X(Y); /// [`super::Y`]\nfn f() { super::y::g() }",
            ),
            ("a/y.rs", "pub struct Y; pub fn g() { \"crate::a::X\"; }"),
        ];
        assert_eq!(circles(&siblings), Vec::<String>::new());
    }
}
