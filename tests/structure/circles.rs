//! No import cycles, between files or between folders, and no import against the order of a
//! folder's parts.

use crate::source::{Reached, Source, attributes, is_test, resolve, spread_out};
use std::collections::{BTreeMap, BTreeSet};
use syn::Item;

/// The modules of one crate, with the items that each defines and re-exports.
#[derive(Default)]
struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// Types, functions and the like that are written here.
    items: BTreeSet<String>,
    /// What `use` brings in, by the name that it has here.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl Module {
    /// `reached` from the crate's root, where it leads into the crate: a bare name does if it is a
    /// child of this module, whose own path is `own`.
    fn inside(&self, own: &[String], reached: Reached) -> Option<Vec<String>> {
        match reached {
            Reached::Crate(path) => Some(path),
            Reached::Other(path) => {
                self.children.contains(&path[0]).then(|| [own, &path[..]].concat())
            }
        }
    }
}

impl Modules {
    fn of(sources: &[Source]) -> Self {
        let mut modules = Self::default();
        for source in sources {
            modules.add(&source.path, source.module(), &source.parse().items);
        }
        modules
    }

    fn add(&mut self, file: &str, path: Vec<String>, items: &[Item]) {
        let items = || items.iter().filter(|item| !is_test(attributes(item)));
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        // A `use` may stand before the `mod` that it means.
        module.children.extend(items().filter_map(|item| match item {
            Item::Mod(inner) => Some(inner.ident.to_string()),
            _ => None,
        }));
        for item in items() {
            match item {
                Item::Mod(inner) => {
                    if let Some((_, items)) = &inner.content {
                        let path = [path.clone(), vec![inner.ident.to_string()]].concat();
                        self.add(file, path, items);
                    }
                }
                Item::Use(item) => {
                    for (target, name) in spread_out(&item.tree) {
                        let reached = resolve(&path, target);
                        let Some(mut target) = module.inside(&path, reached) else { continue };
                        if name == "*" {
                            target.pop();
                            module.globs.push(target);
                        } else {
                            module.imports.insert(name, target);
                        }
                    }
                }
                item => module.items.extend(name(item)),
            }
        }
        self.0.insert(path, module);
    }

    /// The file that defines the target of `path` from the crate's root, `None` outside of it.
    fn definer(&self, path: &[String], steps: usize) -> Option<String> {
        // Imports may form cycles, because `use` resolves lazily.
        let steps = steps.checked_sub(1)?;
        let mut at = Vec::new();
        for (depth, part) in path.iter().enumerate() {
            let module = self.0.get(&at)?;
            if module.children.contains(part) {
                at.push(part.clone());
                continue;
            }
            let rest = &path[depth + 1..];
            return match module.imports.get(part) {
                Some(target) => self.definer(&[&target[..], rest].concat(), steps),
                None => {
                    let passes = |glob: &&Vec<String>| self.defines(glob, part);
                    let passed = module.globs.iter().find(passes).and_then(|glob| {
                        self.definer(&[&glob[..], &path[depth..]].concat(), steps)
                    });
                    Some(passed.unwrap_or_else(|| module.file.clone()))
                }
            };
        }
        self.0.get(&at).map(|module| module.file.clone())
    }

    fn defines(&self, module: &[String], name: &str) -> bool {
        self.0.get(module).is_some_and(|module| {
            module.imports.contains_key(name)
                || module.children.contains(name)
                || module.items.contains(name)
        })
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Which file takes something from which, tests left out.
fn arrows(sources: &[Source]) -> Arrows {
    let mut arrows = Arrows::new();
    let crates: BTreeSet<&str> = sources.iter().map(Source::krate).collect();
    for krate in crates {
        let own: Vec<_> = sources.iter().filter(|one| one.krate() == krate).cloned().collect();
        let modules = Modules::of(&own);
        for source in own.iter().filter(|source| !source.is_test_file()) {
            let targets = arrows.entry(source.path.clone()).or_default();
            for named in source.paths().into_iter().filter(|named| !named.in_test) {
                let here = modules.0.get(&named.module);
                let path = here.and_then(|here| here.inside(&named.module, named.reached));
                let Some(path) = path else { continue };
                let path = match path.split_last() {
                    Some((last, module)) if last == "*" => module.to_vec(),
                    _ => path,
                };
                targets.extend(modules.definer(&path, 16).filter(|file| *file != source.path));
            }
        }
    }
    arrows
}

/// The groups of nodes that reach each other.
fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(at) = next.pop() {
            for to in arrows.get(&at).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|node| (node, reached(node))).collect();
    let mut found = Vec::new();
    for (node, targets) in all.iter().filter(|(node, targets)| targets.contains(**node)) {
        let group: BTreeSet<String> = targets
            .iter()
            .filter(|to| all.get(to).is_some_and(|back| back.contains(*node)))
            .cloned()
            .collect();
        if !found.contains(&group) {
            found.push(group);
        }
    }
    found
}

/// The imports between the entries of each folder, its `mod.rs` left out.
fn between_folders(arrows: &Arrows) -> BTreeMap<String, Arrows> {
    let mut folders: BTreeMap<String, Arrows> = BTreeMap::new();
    let door = |name: &str| ["mod.rs", "lib.rs", "main.rs"].contains(&name);
    for (from, targets) in arrows {
        for to in targets {
            let (a, b): (Vec<_>, Vec<_>) = (from.split('/').collect(), to.split('/').collect());
            let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            if door(a[shared]) || door(b[shared]) {
                continue;
            }
            let name = |parts: &[&str]| parts[shared].trim_end_matches(".rs").to_owned();
            if name(&a) == name(&b) {
                continue;
            }
            let folder = folders.entry(a[..shared].join("/")).or_default();
            folder.entry(name(&a)).or_default().insert(name(&b));
            folder.entry(name(&b)).or_default();
        }
    }
    folders
}

fn all_circles(sources: &[Source]) -> Vec<String> {
    let arrows = arrows(sources);
    let list = |group: &BTreeSet<String>| group.iter().cloned().collect::<Vec<_>>().join(", ");
    let ties = |group: &BTreeSet<String>| {
        let inside = |to: &&String| group.contains(*to);
        let mut ties = Vec::new();
        for from in group {
            for to in arrows.get(from).into_iter().flatten().filter(inside) {
                ties.push(format!("  {from} -> {to}"));
            }
        }
        ties.join("\n")
    };
    let mut faults: Vec<_> = circles(&arrows)
        .iter()
        .map(|group| format!("a circle of files: {}\n{}", list(group), ties(group)))
        .collect();
    for (folder, inner) in between_folders(&arrows) {
        for group in circles(&inner) {
            faults.push(format!("a circle in {folder}: {}", list(&group)));
        }
    }
    faults
}

/// In each of these folders, which entry may import from which. The table has an order: a line may
/// name only lines above it.
const ROOMS: &[(&str, &[Room])] = &[
    (
        "src/datakey",
        &[
            ("observe", &[]),
            ("failure", &[]),
            ("sync", &["observe"]),
            ("clock", &[]),
            ("limits", &[]),
            ("stats", &["failure", "sync"]),
            ("reaper", &["clock"]),
            ("delay", &["clock", "reaper", "sync"]),
            ("ends", &["sync"]),
            ("recipient", &["clock", "failure", "stats", "sync"]),
            ("batch", &["clock", "failure", "observe", "reaper", "recipient", "stats", "sync"]),
            (
                "cache",
                &[
                    "batch", "clock", "ends", "failure", "limits", "observe", "reaper", "stats",
                    "sync",
                ],
            ),
            (
                "supply",
                &[
                    "batch", "clock", "ends", "failure", "limits", "observe", "reaper", "stats",
                    "sync",
                ],
            ),
            ("reading", &["cache", "clock", "delay", "failure", "recipient"]),
            (
                "held",
                &[
                    "batch", "cache", "clock", "ends", "failure", "limits", "observe", "reading",
                    "reaper", "sync",
                ],
            ),
            (
                "keys",
                &[
                    "batch",
                    "cache",
                    "clock",
                    "held",
                    "limits",
                    "reading",
                    "reaper",
                    "recipient",
                    "stats",
                    "supply",
                ],
            ),
        ],
    ),
    (
        "src/emulator",
        &[
            ("action", &[]),
            ("answer", &[]),
            ("clock", &[]),
            ("date", &[]),
            ("sensitive", &[]),
            ("connection", &["sensitive"]),
            ("text", &[]),
            ("random", &["answer", "text"]),
            ("keys", &["answer", "random", "sensitive", "text"]),
            ("state", &["action", "answer", "date", "keys", "random", "sensitive", "text"]),
            ("auth", &["action", "answer", "keys", "random", "state", "text"]),
            ("metadata", &["answer", "auth", "random"]),
            ("faults", &["action"]),
            ("throttle", &["answer"]),
            (
                "app",
                &["answer", "auth", "clock", "faults", "keys", "metadata", "state", "throttle"],
            ),
            ("calls", &["action", "answer", "app", "keys", "random", "state", "text"]),
            (
                "http",
                &[
                    "action", "answer", "app", "auth", "calls", "clock", "date", "faults", "keys",
                    "metadata", "random", "state", "text", "throttle",
                ],
            ),
            ("handle", &["app", "connection", "faults", "http", "keys", "state"]),
            (
                "builder",
                &["auth", "clock", "handle", "http", "keys", "metadata", "state", "throttle"],
            ),
        ],
    ),
    (
        "src/kms",
        &[
            ("endpoint", &[]),
            ("time", &[]),
            ("vocabulary", &[]),
            ("wire", &["endpoint", "time"]),
            ("auth", &["endpoint", "time", "wire"]),
            ("source", &["auth", "endpoint", "time", "wire"]),
            ("call", &["auth", "endpoint", "time", "vocabulary", "wire"]),
            ("key", &["auth", "call", "endpoint", "vocabulary", "wire"]),
            ("token", &["auth", "call", "key", "time", "vocabulary", "wire"]),
            ("manage", &["auth", "call", "endpoint", "key", "time", "vocabulary", "wire"]),
            ("builder", &["auth", "call", "endpoint", "source", "wire"]),
            ("config", &["auth", "builder", "call", "endpoint", "token"]),
            ("environment", &["auth", "builder", "call", "endpoint", "source"]),
            ("profile", &["auth", "builder", "call", "endpoint", "environment", "source"]),
        ],
    ),
];

/// A file or folder, and its siblings from which it may import.
type Room = (&'static str, &'static [&'static str]);

fn against_the_order(sources: &[Source]) -> Vec<String> {
    let between = between_folders(&arrows(sources));
    let mut faults = Vec::new();
    for (folder, order) in ROOMS {
        for (from, targets) in between.get(*folder).into_iter().flatten() {
            let Some((_, known)) = order.iter().find(|(name, _)| name == from) else {
                faults.push(format!("{folder}/{from} has no line in the table"));
                continue;
            };
            for to in targets.iter().filter(|to| !known.contains(&to.as_str())) {
                faults.push(format!("{folder}/{from} may not know {folder}/{to}"));
            }
        }
    }
    faults
}

#[test]
fn nothing_imports_in_a_circle() {
    let faults = all_circles(&Source::all_in("src"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn rooms_keep_their_order() {
    let faults = against_the_order(&Source::all_in("src"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (folder, order) in ROOMS {
        for (at, (name, known)) in order.iter().enumerate() {
            let above: BTreeSet<_> = order[..at].iter().map(|(name, _)| *name).collect();
            let upward: Vec<_> = known.iter().filter(|to| !above.contains(*to)).collect();
            assert!(upward.is_empty(), "{folder}/{name} names {upward:?}, which are not above it");
        }
    }
}

#[test]
fn planted_circles_are_found() {
    let files = |files: &[(&str, &str)]| -> Vec<Source> {
        files.iter().map(|(path, text)| Source::planted(path, text)).collect()
    };
    let lib = ("src/lib.rs", "mod a; mod b; pub use a::A;");
    for (case, expected) in [
        // Two files, by any spelling: an import, a path in code, a macro's arguments.
        (vec![lib, ("src/a.rs", "use crate::b::B; struct A;"), ("src/b.rs", "use crate::A;")], 2),
        (
            vec![
                lib,
                ("src/a.rs", "pub struct A; fn f() { super::b::g() }"),
                ("src/b.rs", "fn g() { format!(\"{}\", crate::a::A) }"),
            ],
            2,
        ),
        // A child that imports from its parent, while the parent imports from the child.
        (
            vec![
                ("src/lib.rs", "mod a;"),
                ("src/a/mod.rs", "mod c; use c::C; pub(crate) struct A;"),
                ("src/a/c.rs", "use super::A; pub(crate) struct C;"),
            ],
            1,
        ),
        // No two files, but two folders.
        (
            vec![
                ("src/lib.rs", "mod a; mod b;"),
                ("src/a/mod.rs", "pub(crate) mod one; pub(crate) mod two;"),
                ("src/a/one.rs", "use crate::b::one::X; struct Y;"),
                ("src/a/two.rs", "struct Y;"),
                ("src/b/mod.rs", "pub(crate) mod one; pub(crate) mod two;"),
                ("src/b/one.rs", "struct X;"),
                ("src/b/two.rs", "use crate::a::two::Y;"),
            ],
            1,
        ),
        // None: a re-exported item belongs to the file that defines it, and tests may import
        // anything.
        (
            vec![
                ("src/lib.rs", "mod a;"),
                ("src/a/mod.rs", "mod c; mod d; pub use c::C; pub use d::*;"),
                ("src/a/c.rs", "use super::D; pub struct C;"),
                ("src/a/d.rs", "pub struct D;"),
            ],
            0,
        ),
        (
            vec![
                ("src/lib.rs", "mod a;"),
                ("src/a/mod.rs", "mod c; mod d; pub use d::D;"),
                ("src/a/c.rs", "use super::D; #[cfg(test)] mod tests { use crate::a::e; }"),
                ("src/a/d.rs", "pub struct D; #[cfg(test)] mod tests { use crate::a::c::f; }"),
            ],
            0,
        ),
    ] {
        let faults = all_circles(&files(&case));
        assert_eq!(faults.len(), expected, "{case:?}: {faults:?}");
    }
}
