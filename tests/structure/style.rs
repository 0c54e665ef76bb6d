//! How files look: their length, the width of their lines, and that one module alone is `unsafe`.

use crate::source::{Source, is_packaged, root};
use crate::{none, planted};
use std::fs;

const MAX_LINES: usize = 400;
/// Longer files, each with its reason.
const LONG_FILES: &[(&str, &str)] =
    &[("src/bin/ncp-envelope/help/examples.rs", "a table with a row for each command")];

/// Columns of a line, in sources and in the code of documents.
const MAX_COLUMNS: usize = 100;

/// Lines that make a file long. Examples in documentation do not: each belongs to the item below,
/// and a file with many of them has no more ideas than it has items.
fn counted(text: &str) -> usize {
    let mut fenced = false;
    let own = |line: &&str| {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let fence = doc.is_some_and(|doc| doc.trim_start().starts_with("```"));
        let example = doc.is_some() && (fenced || fence);
        // A block that is left open ends with its comment.
        fenced = doc.is_some() && fenced != fence;
        !example
    };
    text.lines().filter(own).count()
}

fn long_files(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    let length = |source: &Source| counted(&source.without_tests());
    for source in sources.iter().filter(|source| length(source) > MAX_LINES) {
        if !allowed.iter().any(|(path, reason)| *path == source.path && !reason.is_empty()) {
            faults.push(format!(
                "{} has {} lines without its tests, {MAX_LINES} need no reason",
                source.path,
                length(source)
            ));
        }
    }
    for (path, _) in allowed {
        if !sources.iter().any(|source| source.path == *path && length(source) > MAX_LINES) {
            faults.push(format!("{path} is not long any more: take it off the list"));
        }
    }
    faults
}

fn unsafe_code(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.words().iter().any(|word| word == "unsafe"))
        .map(|source| format!("{} has unsafe code", source.path))
        .collect()
}

/// Lines of `text` over the limit; in a document, those between fences only.
fn wide_lines(path: &str, text: &str) -> Vec<String> {
    let mut code = !path.ends_with(".md");
    let mut faults = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if path.ends_with(".md") && line.trim_start().starts_with("```") {
            code = !code;
        } else if code && line.chars().count() > MAX_COLUMNS {
            let columns = line.chars().count();
            faults.push(format!("{path}:{number} has {columns} columns of {MAX_COLUMNS}"));
        }
    }
    faults
}

#[test]
fn lines_end_at_100_columns() {
    let dirs = ["src", "tests", "benches", "examples", "fuzz"];
    for dir in dirs.into_iter().filter(|dir| *dir != "fuzz" || !is_packaged()) {
        let wide = |source: &Source| wide_lines(&source.path, &source.text);
        none(Source::all_in(dir).iter().flat_map(wide).collect());
    }
    for dir in ["", "docs"] {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                none(wide_lines(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let (fits, wide) = ("é".repeat(MAX_COLUMNS), "é".repeat(MAX_COLUMNS + 1));
    none(wide_lines("a.rs", &fits));
    assert_eq!(wide_lines("a.rs", &format!("{fits}\n// {fits}\n{wide}")).len(), 2);
    assert_eq!(wide_lines("a.md", &format!("{wide}\n```sh\n{wide}\n```\n{wide}")).len(), 1);
}

#[test]
fn a_long_file_has_a_reason() {
    none(long_files(&Source::all_in("src"), LONG_FILES));
    let long = |lines: usize| {
        planted(
            "src/long.rs",
            &format!("{}#[cfg(test)]\nmod tests {{\n{0}}}\n", "// a line\n".repeat(lines)),
        )
    };
    none(long_files(&long(MAX_LINES), &[]));
    assert_eq!(long_files(&long(MAX_LINES + 1), &[]).len(), 1);
    none(long_files(&long(MAX_LINES + 1), &[("src/long.rs", "a table")]));
    assert_eq!(long_files(&long(1), &[("src/long.rs", "a table")]).len(), 1);

    let example = "/// It is.\n///\n/// ```\n/// a();\n/// b();\n/// ```\n/// So.\nfn a() {}\n";
    assert_eq!(counted(example), 4);
    assert_eq!(counted(&example.replace("///", "    //!")), 4);
    assert_eq!(counted(&example.replace("///", "//")), 8, "that is no documentation");
    assert_eq!(counted("/// ```\n/// a();\nfn a() {}\n/// It is.\nfn b() {}\n"), 3);
}

#[test]
fn one_module_is_unsafe() {
    let (allowed, others): (Vec<_>, Vec<_>) =
        Source::all_in("src").into_iter().partition(|source| source.path == "src/memory.rs");
    none(unsafe_code(&others));
    assert_eq!(unsafe_code(&allowed).len(), 1);
    assert_eq!(unsafe_code(&planted("src/a.rs", "fn f() { unsafe { g() } }")).len(), 1);
    none(unsafe_code(&planted(
        "src/a.rs",
        "// unsafe\nconst A: &str = \"unsafe\"; fn not_unsafe() {}",
    )));
}
