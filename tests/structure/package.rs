//! What a stranger gets: pages whose links lead somewhere, also from the registry and from the
//! unpacked package, and a least version of Rust that is the true one.

use crate::source::{Source, is_packaged, root};
use crate::{none, planted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use syn::visit::{self, Visit};

fn cargo(args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(args).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The pages of the root and of `docs`, with their texts.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for dir in ["", "docs"] {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                pages.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    pages
}

/// Where the links and images of a page lead, code left out.
fn links(page: &str) -> Vec<&str> {
    let mut code = false;
    let mut links = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            let starts = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
            links.extend(starts.filter_map(|rest| Some(rest.split_once(')')?.0)));
        }
    }
    links
}

/// The file that `link` means where it stands in `page`, if it is one of ours.
fn target(page: &str, link: &str) -> Option<String> {
    let link = link.split('#').next().unwrap_or_default();
    if link.is_empty() || link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

fn broken_links(pages: &BTreeMap<String, String>, shipped: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (page, text) in pages {
        for link in links(text) {
            if let Some(target) = target(page, link)
                && !shipped.contains(&target)
            {
                faults.push(format!("{page} links to {link}, which is not in the package"));
            }
        }
    }
    faults
}

#[test]
fn links_lead_to_what_the_package_has() {
    let pages = pages();
    let shipped: BTreeSet<String> = if is_packaged() {
        // Cargo makes no list of a package that it has packed already.
        let linked = pages
            .iter()
            .flat_map(|(page, text)| links(text).into_iter().filter_map(|link| target(page, link)));
        linked.filter(|path| root().join(path).is_file()).collect()
    } else {
        let list = cargo(&["package", "--list", "--allow-dirty", "--offline"]);
        list.lines().map(|path| path.replace('\\', "/")).collect()
    };
    none(broken_links(&pages, &shipped));
    assert!(links(&pages["README.md"]).len() > 8, "links are found");

    let shipped = BTreeSet::from(["docs/a.md".to_owned(), "README.md".to_owned()]);
    let page = |text: &str| BTreeMap::from([("docs/b.md".to_owned(), text.to_owned())]);
    for good in ["a.md", "a.md#part", "../README.md", "#here", "https://docs.rs/a", "./a.md"] {
        none(broken_links(&page(&format!("see [it]({good}) there")), &shipped));
    }
    for bad in ["c.md", "README.md", "../a.md", "../fuzz"] {
        let twice = page(&format!("see [a](a.md), ![b]({bad}) and [c]({bad})"));
        assert_eq!(broken_links(&twice, &shipped).len(), 2, "{bad}");
    }
    none(broken_links(&page("```text\n[a](b)\n```"), &shipped));
}

/// A version of Rust as numbers.
fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(3, 0);
    parts
}

/// The packages that this one is built and tested with; other members of the workspace have more.
fn own(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes = nodes.iter().map(|node| (node["id"].as_str().unwrap(), &node["deps"]));
    let nodes: BTreeMap<_, _> = nodes.collect();
    let (mut found, mut next) =
        (BTreeSet::new(), vec![metadata["resolve"]["root"].as_str().unwrap()]);
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let deps = nodes[id].as_array().unwrap();
            next.extend(deps.iter().map(|dep| dep["pkg"].as_str().unwrap()));
        }
    }
    found
}

/// The packages of `metadata` that ask for a newer Rust than `least`.
fn newer(metadata: &Value, least: &str) -> Vec<String> {
    let (own, mut faults) = (own(metadata), Vec::new());
    for package in metadata["packages"].as_array().unwrap() {
        if own.contains(package["id"].as_str().unwrap())
            && let Some(wanted) = package["rust_version"].as_str()
            && version(wanted) > version(least)
        {
            let (name, of) = (&package["name"], &package["version"]);
            faults.push(format!("{name} {of} needs Rust {wanted}, this crate promises {least}"));
        }
    }
    faults
}

#[test]
fn the_least_rust_is_enough_for_all_dependencies_and_the_pages_name_it() {
    let metadata = cargo(&["metadata", "--locked", "--all-features", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let least = env!("CARGO_PKG_RUST_VERSION");
    none(newer(&metadata, least));
    assert!(!newer(&metadata, "1.56").is_empty(), "dependencies say what they need");
    assert_eq!(version("1.89"), version("1.89.0"));
    assert!(version("1.100") > version("1.89.1"));

    let pages = pages();
    for page in ["README.md", "CONTRIBUTING.md"] {
        let named = format!("Rust {least}");
        assert!(pages[page].contains(&named), "{page} does not say {named}");
    }
}

/// Guards of match arms that bind with `let`, by their lines.
#[derive(Default)]
struct LetGuards(Vec<usize>);

impl Visit<'_> for LetGuards {
    fn visit_pat_guard(&mut self, pattern: &syn::PatGuard) {
        struct Lets(bool);
        impl Visit<'_> for Lets {
            fn visit_expr_let(&mut self, _: &syn::ExprLet) {
                self.0 = true;
            }
            // A `let` in a block is not the guard's.
            fn visit_block(&mut self, _: &syn::Block) {}
        }
        let mut lets = Lets(false);
        lets.visit_expr(&pattern.guard);
        if lets.0 {
            self.0.push(pattern.if_token.span.start().line);
        }
        visit::visit_pat_guard(self, pattern);
    }
}

fn let_guards(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let mut found = LetGuards::default();
        found.visit_file(&source.parse());
        let fault = |line| format!("{}:{line}: a guard with `let` needs Rust 1.95", source.path);
        faults.extend(found.0.into_iter().map(fault));
    }
    faults
}

/// Clippy's `incompatible_msrv` knows the standard library and not the language. This is the part
/// of the language that is newer than the least Rust and was used here once.
#[test]
fn no_guard_binds_with_let() {
    for dir in ["src", "tests", "benches", "examples"] {
        none(let_guards(&Source::all_in(dir)));
    }
    let of = |guard: &str| {
        let text = format!("fn f() {{ match a {{\n A if {guard} => {{ b }} _ => c, }} }}");
        let_guards(&planted("src/a.rs", &text))
    };
    none(of("x == 1 && y"));
    none(of("{ if let Some(_) = x { true } else { false } }"));
    for guard in ["let Some(_) = x", "y && let Some(_) = x"] {
        assert_eq!(of(guard), ["src/a.rs:2: a guard with `let` needs Rust 1.95"]);
    }
}
