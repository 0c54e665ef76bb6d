//! The tree of `src` that CONTRIBUTING.md shows is the real one.

use crate::none;
use crate::source::{Source, root};
use std::collections::BTreeSet;
use std::fs;

/// The files of the first block of `page` that starts with `src/`. A folder has a line of its own,
/// the files in it follow two columns further in; what comes after `#` is a remark.
fn shown(page: &str) -> BTreeSet<String> {
    let mut folders: Vec<(usize, String)> = Vec::new();
    let mut files = BTreeSet::new();
    let block = page.lines().skip_while(|line| !line.starts_with("src/"));
    for line in block.take_while(|line| !line.starts_with("```")) {
        let content = line.split('#').next().unwrap_or_default();
        let indent = content.len() - content.trim_start().len();
        folders.retain(|(depth, _)| *depth < indent);
        let folder = folders.last().map(|(_, path)| path.clone()).unwrap_or_default();
        for name in content.split_whitespace() {
            if name.ends_with('/') {
                // Until a file stands in it: an empty one is in no repository.
                files.insert(format!("{folder}{name}"));
                folders.push((indent, format!("{folder}{name}")));
            } else {
                files.retain(|shown| folders.iter().all(|(_, path)| path != shown));
                files.insert(format!("{folder}{name}.rs"));
            }
        }
    }
    files
}

fn differences(shown: &BTreeSet<String>, real: &BTreeSet<String>) -> Vec<String> {
    let missing = real.difference(shown).map(|path| format!("the tree does not show {path}"));
    let extra = shown.difference(real).map(|path| format!("the tree shows {path}, there is none"));
    missing.chain(extra).collect()
}

#[test]
fn contributing_shows_the_real_tree() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let real = Source::all_in("src").into_iter().map(|source| source.path).collect();
    none(differences(&shown(&page), &real));

    let page = "```text\nsrc/\n  lib error\n  a/        # room\n    mod b\n  c/\n    mod\n```\n";
    let paths = ["src/lib.rs", "src/error.rs", "src/a/mod.rs", "src/a/b.rs", "src/c/mod.rs"];
    let real: BTreeSet<String> = paths.map(str::to_owned).into();
    none(differences(&shown(page), &real));
    assert_eq!(
        differences(&shown(page), &paths[1..].iter().map(|p| (*p).to_owned()).collect()).len(),
        1
    );
    assert_eq!(differences(&shown(&page.replace(" b", "")), &real).len(), 1);
    assert_eq!(differences(&shown(&page.replace("  c/", "  d/\n  c/")), &real).len(), 1);
}
