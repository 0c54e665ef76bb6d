//! The field's terms, and not paraphrases of them.
//!
//! A stranger who knows other libraries looks for *single flight* and *jitter* and does not find
//! them in "one question is under way".

use crate::none;
use crate::source::root;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is not written any more, in lower case, and what is written in its place.
const PARAPHRASES: &[(&str, &str)] = &[
    ("question is under way", "single flight"),
    ("that others share calls with", "say what has to keep running, under a heading `# Runtime`"),
    ("has to go on running", "must keep running"),
    ("goes on running", "keeps running"),
    ("without the reader noticing", "say what is detected, and before what is used"),
    ("under way", "in flight"),
    ("those who wait", "waiters"),
    ("whoever wait", "waiters"),
    ("who waits", "a waiter"),
    ("all who wait", "all waiters"),
    ("everyone who wait", "every waiter"),
    ("asked for again in the background", "refreshed in the background"),
    ("a tenth earlier", "up to 10 % early (jitter)"),
    ("out of reach", "unreachable"),
];

/// The text as one line in lower case, without the signs of comments and lists, so that a phrase is
/// found where a line breaks within it.
fn flat(text: &str) -> String {
    let words = text.lines().flat_map(|line| {
        let line = line.trim().trim_end_matches('\\');
        line.trim_start_matches(['/', '!', '#', '*', '>']).split_whitespace()
    });
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Each paraphrase in `text` once for every place. A longer one hides a shorter one within it.
fn found(text: &str) -> Vec<String> {
    let mut text = flat(text);
    let mut rows: Vec<_> = PARAPHRASES.iter().collect();
    rows.sort_by_key(|(phrase, _)| std::cmp::Reverse(phrase.len()));
    let mut found = Vec::new();
    for (phrase, term) in rows {
        for _ in 0..text.matches(phrase).count() {
            found.push(format!("\"{phrase}\" ({term})"));
        }
        text = text.replace(phrase, "…");
    }
    found
}

/// Sources, and pages of the root and of `docs`.
fn texts() -> BTreeMap<String, String> {
    fn collect(dir: &Path, deep: bool, texts: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && deep {
                collect(&path, deep, texts);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                texts.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut texts = BTreeMap::new();
    collect(&root(), false, &mut texts);
    collect(&root().join("src"), true, &mut texts);
    collect(&root().join("docs"), true, &mut texts);
    texts
}

fn faults(texts: &BTreeMap<String, String>) -> Vec<String> {
    let found = texts.iter().map(|(path, text)| (path, found(text)));
    let bad = found.filter(|(_, found)| !found.is_empty());
    bad.map(|(path, found)| format!("{path}: {}", found.join(", "))).collect()
}

#[test]
fn the_terms_of_the_field_are_used() {
    let texts = texts();
    for path in ["README.md", "docs/design.md", "src/lib.rs", "src/bin/ncp-envelope/main.rs"] {
        assert!(texts.contains_key(path), "{path} is not looked at");
    }
    none(faults(&texts));
}

#[test]
fn paraphrases_are_found() {
    let texts = |text: &str| BTreeMap::from([("src/a.rs".to_owned(), text.to_owned())]);
    for (phrase, _) in PARAPHRASES {
        assert_eq!(found(&format!("A {phrase}.")).len(), 1, "{phrase}");
        assert_eq!(*phrase, flat(phrase), "{phrase} would not be found");
    }
    // Where a line breaks, in comments, pages and texts.
    for broken in [
        "/// What is under\n    /// way ends.",
        "//! Under\n//! way.",
        "* under\n  way",
        "\"it is under \\\n  way\"",
    ] {
        assert_eq!(found(broken).len(), 1, "{broken}");
    }
    assert_eq!(found("One question is under way, and so is another under way").len(), 2);
    assert!(found("a wayward thunderstorm of those waiting").is_empty());

    assert_eq!(faults(&texts("under way, under way")).len(), 1, "a line for each file");
    none(faults(&texts("in flight")));
}
