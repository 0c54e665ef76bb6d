//! Every rule of docs/format.md and docs/fields.md is named by code that implements it and by a
//! test, and nothing names a rule that does not exist.

use crate::source::{Source, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// A page of numbered rules.
struct Page {
    path: &'static str,
    /// What its rules begin with.
    letter: char,
    /// The index of vectors, whose entries name rules.
    vectors: &'static str,
    /// It has so many rules at least.
    least: usize,
    /// Rules that no code names yet. Naming one takes it off this list; the list never grows.
    unnamed_in_code: &'static [u32],
}

const PAGES: &[Page] = &[
    Page {
        path: "docs/format.md",
        letter: 'F',
        vectors: "tests/vectors/index.json",
        least: 33,
        unnamed_in_code: &[],
    },
    Page {
        path: "docs/fields.md",
        letter: 'R',
        vectors: "tests/vectors/fields/index.json",
        least: 27,
        unnamed_in_code: &[],
    },
];

/// The rules of a page that `text` names. A range names its two ends only, as the rules between
/// them are implemented somewhere else.
fn named(letter: char, text: &str) -> BTreeSet<u32> {
    let mut rules = BTreeSet::new();
    for (at, _) in text.match_indices(&format!("{letter}-")) {
        if !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '-') {
            let digits =
                text[at + 2..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            rules.extend(digits.parse::<u32>());
        }
    }
    rules
}

/// The rules that the page defines, each once and counted from 1 without gaps.
fn defined(letter: char, page: &str) -> BTreeSet<u32> {
    let mut rules = BTreeSet::new();
    for line in page.lines() {
        let rule = line.strip_prefix(&format!("* **{letter}-"));
        if let Some(rule) = rule.and_then(|rest| rest.split_once("**")) {
            assert!(rules.insert(rule.0.parse().unwrap()), "{letter}-{} is defined twice", rule.0);
        }
    }
    rules
}

/// Rules that are not named, for each of the two places that must name them.
fn faults(
    letter: char,
    defined: &BTreeSet<u32>,
    in_code: &BTreeSet<u32>,
    in_tests: &BTreeSet<u32>,
    waived: &[u32],
) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in defined {
        if !in_code.contains(rule) && !waived.contains(rule) {
            faults.push(format!("{letter}-{rule} is named by no code in src"));
        }
        if !in_tests.contains(rule) {
            faults.push(format!("{letter}-{rule} is named by no test"));
        }
    }
    faults.extend(
        waived
            .iter()
            .filter(|rule| in_code.contains(rule))
            .map(|rule| format!("{letter}-{rule} is named now: take it off the list")),
    );
    faults.extend(
        in_code
            .union(in_tests)
            .filter(|rule| !defined.contains(rule))
            .map(|rule| format!("{letter}-{rule} does not exist")),
    );
    faults
}

impl Page {
    fn rules(&self) -> BTreeSet<u32> {
        defined(self.letter, &fs::read_to_string(root().join(self.path)).unwrap())
    }

    fn faults(&self) -> Vec<String> {
        let (mut in_code, mut in_tests) = (BTreeSet::new(), BTreeSet::new());
        for source in Source::all_in("src") {
            // A file of tests has no code.
            let tests = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
            let (all, code) = (source.text.clone(), source.without_tests());
            let code = if tests { String::new() } else { code };
            in_code.extend(named(self.letter, &code));
            // What is left over when the code is taken away line by line.
            let kept: BTreeSet<&str> = code.lines().collect();
            all.lines()
                .filter(|line| !kept.contains(line))
                .for_each(|line| in_tests.extend(named(self.letter, line)));
        }
        for source in Source::all_in("tests") {
            in_tests.extend(named(self.letter, &source.text));
        }
        let index: Vec<Value> =
            serde_json::from_slice(&fs::read(root().join(self.vectors)).unwrap()).unwrap();
        for entry in &index {
            in_tests.extend(named(self.letter, entry["rule"].as_str().unwrap()));
        }
        faults(self.letter, &self.rules(), &in_code, &in_tests, self.unnamed_in_code)
    }
}

#[test]
fn every_rule_is_named_by_code_and_by_a_test() {
    let faults: Vec<_> = PAGES.iter().flat_map(Page::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_are_counted_without_gaps() {
    for page in PAGES {
        let rules = page.rules();
        assert!(rules.len() >= page.least, "{} is there", page.path);
        assert_eq!(
            rules.iter().copied().collect::<Vec<_>>(),
            (1..=rules.len() as u32).collect::<Vec<_>>()
        );
    }
}

#[test]
fn other_places_name_existing_rules_only() {
    let mut files: Vec<_> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(
        fs::read_dir(root().join("tests/second_implementation"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for path in
        files.iter().filter(|path| path.extension().is_some_and(|end| end == "md" || end == "py"))
    {
        let text = fs::read_to_string(path).unwrap();
        for page in PAGES {
            let unknown: Vec<_> =
                named(page.letter, &text).difference(&page.rules()).copied().collect();
            assert!(
                unknown.is_empty(),
                "{} names rules {}-{unknown:?}, which do not exist",
                path.display(),
                page.letter
            );
        }
    }
}

#[test]
fn what_is_missing_is_found() {
    let set = |rules: &[u32]| rules.iter().copied().collect::<BTreeSet<u32>>();
    let rule = |number: u32| format!("F-{number}");
    assert_eq!(
        named('F', &format!("({}, `{}` to {}) UTF-8 PDF-{}", rule(1), rule(22), rule(30), 7)),
        set(&[1, 22, 30])
    );
    let text = format!("{} R-{} AR-{}", rule(1), 2, 3);
    assert_eq!((named('F', &text), named('R', &text)), (set(&[1]), set(&[2])));
    assert_eq!(
        defined('F', &format!("* **{}** One.\nsee {}\n* **{}** Two.", rule(1), rule(3), rule(2))),
        set(&[1, 2])
    );
    assert!(faults('F', &set(&[1, 2]), &set(&[1, 2]), &set(&[1, 2]), &[]).is_empty());
    assert!(faults('F', &set(&[1, 2]), &set(&[2]), &set(&[1, 2]), &[1]).is_empty());
    assert_eq!(faults('F', &set(&[1, 2]), &set(&[2]), &set(&[1, 2]), &[]).len(), 1);
    assert_eq!(faults('F', &set(&[1, 2]), &set(&[1, 2]), &set(&[1]), &[]).len(), 1);
    assert_eq!(faults('F', &set(&[1, 2]), &set(&[1, 2]), &set(&[1, 2]), &[1]).len(), 1);
    assert_eq!(faults('F', &set(&[1]), &set(&[1, 2]), &set(&[1]), &[]).len(), 1);
}
