//! Source files, parsed, and the paths that each of them names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether this is the package as the registry has it, which lacks what no test needs.
pub(crate) fn is_packaged() -> bool {
    root().join("Cargo.toml.orig").is_file()
}

/// One source file.
#[derive(Clone)]
pub(crate) struct Source {
    /// Relative to the package, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A path as code names it, by its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Below the crate's root; empty is the root itself.
    Crate(Vec<String>),
    /// Another crate, or a name that is in scope.
    Other(Vec<String>),
}

/// A path, and the kind of code that names it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) reached: Reached,
    /// The module in which it stands.
    pub(crate) module: Vec<String>,
    pub(crate) in_test: bool,
}

impl Source {
    /// Every `.rs` file under `dir`, in the order of their paths.
    pub(crate) fn all_in(dir: &str) -> Vec<Self> {
        let mut sources = Vec::new();
        collect(&root(), Path::new(dir), &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(!sources.is_empty(), "no sources in {dir}");
        sources
    }

    /// A file that does not exist, as a violation for a check to find.
    pub(crate) fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The crate that the file belongs to: its folder.
    pub(crate) fn krate(&self) -> &str {
        match self.path.strip_prefix("src/bin/").and_then(|rest| rest.find('/')) {
            Some(end) => &self.path[..end + "src/bin/".len()],
            None => "src",
        }
    }

    /// The module path that the file has by its place: `src/a/b.rs` is `a`, `b`; `src/lib.rs` and
    /// a program's `main.rs` are roots.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path[self.krate().len()..].trim_matches('/').trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") || ["lib", "main"].contains(&inner) {
            module.pop();
        }
        module
    }

    pub(crate) fn is_test_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    pub(crate) fn parse(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// The text without its `#[cfg(test)]` items, comments kept.
    pub(crate) fn without_tests(&self) -> String {
        if self.is_test_file() {
            return String::new();
        }
        let mut tests = TestLines::default();
        tests.visit_file(&self.parse());
        let within = |line: usize| tests.0.iter().any(|(from, to)| (*from..=*to).contains(&line));
        let kept = self.text.split_inclusive('\n').zip(1..).filter(|(_, line)| !within(*line));
        kept.map(|(line, _)| line).collect()
    }

    /// Every path that the code names, `use` trees spread out and `super` resolved.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let mut finder =
            Paths { module: self.module(), in_test: self.is_test_file(), found: Vec::new() };
        finder.visit_file(&self.parse());
        finder.found
    }

    /// The code without comments and literals, as words and signs.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        spread(self.text.parse().unwrap(), &mut words);
        words
    }
}

fn collect(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(dir)).unwrap() {
        let entry = entry.unwrap();
        let path = dir.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            // Built things are in the folders of the packages beside this one.
            if entry.file_name() != "target" {
                collect(root, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            let path = path.to_str().unwrap().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
}

fn spread(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                words.push(if group.delimiter() == Delimiter::Brace { "{" } else { "(" }.into());
                spread(group.stream(), words);
            }
            TokenTree::Ident(ident) => words.push(ident.to_string()),
            TokenTree::Punct(punct) => words.push(punct.as_char().to_string()),
            TokenTree::Literal(_) => words.push("\"\"".to_owned()),
        }
    }
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// First and last line of each item behind `#[cfg(test)]`.
#[derive(Default)]
struct TestLines(Vec<(usize, usize)>);

impl Visit<'_> for TestLines {
    fn visit_item(&mut self, item: &Item) {
        if is_test(attributes(item)) {
            let first = attributes(item).iter().map(|attribute| attribute.span().start().line);
            self.0.push((first.min().unwrap_or_default(), item.span().end().line));
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        if is_test(&item.attrs) {
            let first = item.attrs.iter().map(|attribute| attribute.span().start().line);
            self.0.push((first.min().unwrap_or_default(), item.span().end().line));
        }
    }
}

struct Paths {
    module: Vec<String>,
    in_test: bool,
    found: Vec<Named>,
}

impl Paths {
    fn add(&mut self, path: Vec<String>) {
        let reached = resolve(&self.module, path);
        let (module, in_test) = (self.module.clone(), self.in_test);
        self.found.push(Named { reached, module, in_test });
    }

    /// Paths in a macro's arguments, which cannot be parsed without knowing the macro.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 || path.is_empty() => {
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.end(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.scan(group.stream()),
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        _ => {}
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path);
        }
    }
}

impl Visit<'_> for Paths {
    fn visit_item(&mut self, item: &Item) {
        let before = self.in_test;
        self.in_test |= is_test(attributes(item));
        visit::visit_item(self, item);
        self.in_test = before;
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        for (path, _) in spread_out(&item.tree) {
            self.add(path);
        }
    }

    fn visit_visibility(&mut self, _: &syn::Visibility) {}

    fn visit_path(&mut self, path: &syn::Path) {
        if path.segments.len() > 1 {
            self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &syn::Macro) {
        visit::visit_macro(self, item);
        self.scan(item.tokens.clone());
    }
}

/// The paths of a `use`, each with the name that it gets here; `*` for all.
pub(crate) fn spread_out(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    fn walk(tree: &UseTree, path: &[String], found: &mut Vec<(Vec<String>, String)>) {
        let with = |name: String| [path, &[name]].concat();
        match tree {
            UseTree::Path(tree) => walk(&tree.tree, &with(tree.ident.to_string()), found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path, found)),
            UseTree::Glob(_) => found.push((with("*".to_owned()), "*".to_owned())),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let own = if name == "self" { path.last().cloned() } else { None };
                found.push((with(name.clone()), own.unwrap_or(name)));
            }
            UseTree::Rename(rename) => {
                found.push((with(rename.ident.to_string()), rename.rename.to_string()));
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// Where `path` leads when it stands in `module`.
pub(crate) fn resolve(module: &[String], path: Vec<String>) -> Reached {
    let mut base = match path[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => {
            let named = |part: &String| part != "self";
            return Reached::Other(path.into_iter().filter(named).collect());
        }
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(part),
        }
    }
    Reached::Crate(base)
}
