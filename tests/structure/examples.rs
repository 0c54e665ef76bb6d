//! Every public item has an example that the doctest runner runs.

use crate::source::{Source, is_test};
use crate::{none, planted};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Visibility};

/// Words after a fence that leave the code Rust, and run.
const STILL_RUN: &[&str] =
    &["rust", "should_panic", "edition2015", "edition2018", "edition2021", "edition2024"];

/// Whether `info`, what stands behind an opening fence, lets the code run.
fn runs(info: &str) -> bool {
    let mut words = info.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words.all(|word| STILL_RUN.contains(&word))
}

/// Whether `docs` has a fenced block that runs and shows a line of code.
fn has_example(docs: &str) -> bool {
    let mut fence: Option<(String, bool)> = None;
    for line in docs.lines().map(str::trim) {
        let marks: String = line
            .chars()
            .take_while(|sign| line.starts_with(*sign) && "`~".contains(*sign))
            .collect();
        match &fence {
            None if marks.len() >= 3 => {
                let run = runs(&line[marks.len()..]);
                fence = Some((marks, run));
            }
            Some((opening, _)) if marks.starts_with(opening.as_str()) && marks == line => {
                fence = None;
            }
            // `# ` hides a line and `##` shows a `#`; an attribute is a line.
            Some((_, true)) if !line.is_empty() && line != "#" && !line.starts_with("# ") => {
                return true;
            }
            _ => {}
        }
    }
    false
}

fn docs_of(attributes: &[Attribute]) -> String {
    let text = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// What a file has of public items. That each of them can be reached from outside is for rustc's
/// `unreachable_pub` to say.
#[derive(Default)]
struct Items {
    /// Those without an example.
    lacking: Vec<String>,
    /// Modules whose documentation is in a file of their own.
    modules: Vec<String>,
}

impl Items {
    fn item(&mut self, name: &str, docs: &str) {
        if !has_example(docs) {
            self.lacking.push(name.to_owned());
        }
    }

    /// Items that a macro is given, or makes. Nothing parses those before the macro is known, so it
    /// goes by the words: `pub struct Name`, and a type's name behind the documentation that a call
    /// begins with.
    fn scan(&mut self, tokens: TokenStream, call: bool) {
        let mut docs = String::new();
        let mut words: Vec<String> = Vec::new();
        let mut dollar = false;
        let mut first = call;
        for token in tokens {
            match token {
                TokenTree::Punct(sign) if sign.as_char() == '#' => {}
                TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                    docs.push_str(&doc_text(group.stream()));
                    docs.push('\n');
                }
                TokenTree::Ident(word) if !dollar => {
                    let word = word.to_string();
                    let kind = words.iter().rev().take(2).map(String::as_str).collect::<Vec<_>>();
                    let defined = matches!(
                        kind[..],
                        ["struct" | "enum" | "union" | "trait" | "fn" | "mod", "pub"]
                            | ["fn", "async" | "const"]
                    ) && words.first().is_some_and(|word| word == "pub");
                    if defined || first && !docs.is_empty() && word.starts_with(char::is_uppercase)
                    {
                        self.item(&word, &docs);
                        docs.clear();
                        words.clear();
                    } else {
                        words.push(word);
                    }
                    first = false;
                }
                TokenTree::Group(group) => {
                    // Not `pub(crate)`.
                    words.clear();
                    docs.clear();
                    self.scan(group.stream(), false);
                }
                other => {
                    words.clear();
                    dollar = matches!(&other, TokenTree::Punct(sign) if sign.as_char() == '$');
                    if matches!(&other, TokenTree::Punct(sign) if ";,".contains(sign.as_char())) {
                        docs.clear();
                    }
                    continue;
                }
            }
            dollar = false;
        }
    }
}

/// What `doc = "…"` says.
fn doc_text(attribute: TokenStream) -> String {
    match syn::parse2::<syn::MetaNameValue>(attribute) {
        Ok(meta) if meta.path.is_ident("doc") => match meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

impl Visit<'_> for Items {
    fn visit_item(&mut self, item: &Item) {
        if is_test(crate::source::attributes(item)) {
            return;
        }
        let named = match item {
            Item::Struct(item) => Some((&item.vis, &item.attrs, &item.ident)),
            Item::Enum(item) => Some((&item.vis, &item.attrs, &item.ident)),
            Item::Union(item) => Some((&item.vis, &item.attrs, &item.ident)),
            Item::Trait(item) => Some((&item.vis, &item.attrs, &item.ident)),
            Item::Fn(item) => Some((&item.vis, &item.attrs, &item.sig.ident)),
            _ => None,
        };
        if let Some((visibility, attributes, name)) = named
            && is_public(visibility)
        {
            self.item(&name.to_string(), &docs_of(attributes));
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        if is_public(&item.vis) {
            let docs = docs_of(&item.attrs);
            match &item.content {
                Some(_) => self.item(&item.ident.to_string(), &docs),
                None if has_example(&docs) => {}
                None => self.modules.push(item.ident.to_string()),
            }
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_impl(&mut self, item: &syn::ItemImpl) {
        let (syn::Type::Path(of), None) = (&*item.self_ty, &item.trait_) else { return };
        let of = of.path.segments.last().map(|segment| segment.ident.to_string());
        for method in &item.items {
            if let ImplItem::Fn(method) = method
                && is_public(&method.vis)
                && !is_test(&method.attrs)
            {
                let name = format!("{}::{}", of.as_deref().unwrap_or("?"), method.sig.ident);
                self.item(&name, &docs_of(&method.attrs));
            }
        }
    }

    fn visit_item_macro(&mut self, item: &syn::ItemMacro) {
        self.scan(item.mac.tokens.clone(), item.ident.is_none());
    }

    // Nothing in a function can be reached from outside.
    fn visit_block(&mut self, _: &syn::Block) {}
}

/// The items that lack an example, by the file in which it would stand.
fn lacking(sources: &[Source]) -> BTreeMap<&str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources {
        if source.is_test_file() || source.krate() != "src" {
            continue;
        }
        let mut items = Items::default();
        items.visit_file(&source.parse());
        for name in items.modules {
            let wanted = [source.module(), vec![name.clone()]].concat();
            let own = sources
                .iter()
                .find(|other| other.krate() == "src" && other.module() == wanted)
                .unwrap_or_else(|| panic!("{} has no module {name}", source.path));
            if !has_example(&docs_of(&own.parse().attrs)) {
                found.entry(&own.path).or_default().push(format!("module {name}"));
            }
        }
        if source.path == "src/lib.rs" && !has_example(&docs_of(&source.parse().attrs)) {
            items.lacking.push("the crate".to_owned());
        }
        found.entry(&source.path).or_default().extend(items.lacking);
    }
    found.retain(|_, items| !items.is_empty());
    found
}

fn faults(lacking: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let said = |(path, items): (&&str, &Vec<String>)| {
        format!("{path}: {} items lack an example: {}", items.len(), items.join(", "))
    };
    lacking.iter().map(said).collect()
}

#[test]
fn every_public_item_has_an_example_that_runs() {
    none(faults(&lacking(&Source::all_in("src"))));
}

#[test]
fn items_without_a_running_example_are_found() {
    let of = |text: &str| {
        let sources = planted("src/a.rs", text);
        lacking(&sources).remove("src/a.rs").unwrap_or_default().join(" ")
    };
    let example = "/// It is.\n///\n/// ```\n/// assert!(true);\n/// ```\n";
    for item in ["struct A;", "enum A {}", "trait A {}", "fn A() {}", "mod A {}"] {
        assert_eq!(of(&format!("/// It is.\npub {item}")), "A", "{item}");
        assert_eq!(of(&format!("{example}pub {item}")), "", "{item}");
        assert_eq!(of(&format!("pub(crate) {item}\n{item}")), "", "{item}");
        assert_eq!(of(&format!("#[cfg(test)] mod tests {{ pub {item} }}")), "", "{item}");
    }
    assert_eq!(of("pub const A: u8 = 1; pub type B = u8; pub use std::fs;"), "");

    let method = |docs: &str| of(&format!("impl<T> A<T> {{ {docs} pub async fn b(&self) {{}} }}"));
    assert_eq!(method(""), "A::b");
    assert_eq!(method(&format!("\n{example}")), "");
    assert_eq!(of("impl Clone for A { fn clone(&self) -> A { A } }"), "");
    assert_eq!(of("fn f() { impl A { pub fn b() {} } }"), "");

    // What a macro is given, and what it makes.
    assert_eq!(of("words! { /// It is.\nName { /// So.\nOne, } }"), "Name");
    assert_eq!(of(&format!("words! {{ {example} Name {{ One, }} }}")), "");
    assert_eq!(of("events! { /// It is.\nname(a: b), Other } passed_on!(Type);"), "");
    let made = |docs: &str| {
        of(&format!(
            "macro_rules! m {{ ($n:ident) => {{ pub struct $n; {docs} #[derive(Debug)] pub struct \
             Made; impl $n {{ pub(crate) fn a() {{}} {docs} pub fn b() {{}} }} }}; }}"
        ))
    };
    assert_eq!(made(""), "Made b");
    assert_eq!(made(&format!("\n{example}")), "");

    // Modules in files of their own.
    let module = |inner: &str| {
        let file = |path: &str, text: &str| planted(path, text)[0].clone();
        let outer = format!("//! It is.\n{}\npub mod b;", "");
        let sources = [file("src/a/mod.rs", &outer), file("src/a/b.rs", inner)];
        lacking(&sources).remove("src/a/b.rs").unwrap_or_default().join(" ")
    };
    assert_eq!(module("//! It is."), "module b");
    assert_eq!(module(&example.replace("///", "//!")), "");

    // What does not run, or shows nothing, is no example.
    for info in ["", "rust", "should_panic", "rust,edition2024"] {
        assert!(has_example(&format!("```{info}\na();\n```")), "{info}");
    }
    for info in ["text", "no_run", "rust,no_run", "ignore", "compile_fail", "sh", "ignore-windows"]
    {
        assert!(!has_example(&format!("```{info}\na();\n```")), "{info}");
    }
    assert!(!has_example("```\n# hidden();\n#\n\n```\nand a();"));
    assert!(has_example("```text\nno\n```\n\n~~~~\n#[derive(Debug)]\n~~~~"));
    assert!(!has_example("a();\n``` ```\n"));

    let found = BTreeMap::from([("src/a.rs", vec!["A".to_owned(), "B".to_owned()])]);
    assert_eq!(faults(&found), ["src/a.rs: 2 items lack an example: A, B"]);
}
