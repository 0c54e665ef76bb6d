//! Every rule of docs/format.md is named by code that implements it and by a test, and nothing
//! names a rule that does not exist.

use crate::source::{Source, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Rules that no code names yet. Naming one takes it off this list; the list never grows.
const UNNAMED_IN_CODE: &[u32] = &[];

/// The rules that `text` names. A range names its two ends only, as the rules between them are
/// implemented somewhere else.
fn named(text: &str) -> BTreeSet<u32> {
    let mut rules = BTreeSet::new();
    for (at, _) in text.match_indices("F-") {
        if !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '-') {
            let digits =
                text[at + 2..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            rules.extend(digits.parse::<u32>());
        }
    }
    rules
}

/// The rules that the page defines, each once and counted from 1 without gaps.
fn defined(page: &str) -> BTreeSet<u32> {
    let mut rules = BTreeSet::new();
    for line in page.lines() {
        if let Some(rule) = line.strip_prefix("* **F-").and_then(|rest| rest.split_once("**")) {
            assert!(rules.insert(rule.0.parse().unwrap()), "F-{} is defined twice", rule.0);
        }
    }
    rules
}

/// Rules that are not named, for each of the two places that must name them.
fn faults(
    defined: &BTreeSet<u32>,
    in_code: &BTreeSet<u32>,
    in_tests: &BTreeSet<u32>,
    waived: &[u32],
) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in defined {
        if !in_code.contains(rule) && !waived.contains(rule) {
            faults.push(format!("F-{rule} is named by no code in src"));
        }
        if !in_tests.contains(rule) {
            faults.push(format!("F-{rule} is named by no test"));
        }
    }
    faults.extend(
        waived
            .iter()
            .filter(|rule| in_code.contains(rule))
            .map(|rule| format!("F-{rule} is named now: take it off the list")),
    );
    faults.extend(
        in_code
            .union(in_tests)
            .filter(|rule| !defined.contains(rule))
            .map(|rule| format!("F-{rule} does not exist")),
    );
    faults
}

fn page() -> BTreeSet<u32> {
    defined(&fs::read_to_string(root().join("docs/format.md")).unwrap())
}

#[test]
fn every_rule_is_named_by_code_and_by_a_test() {
    let (mut in_code, mut in_tests) = (BTreeSet::new(), BTreeSet::new());
    for source in Source::all_in("src") {
        let (all, code) = (source.text.clone(), source.without_tests());
        in_code.extend(named(&code));
        // What is left over when the code is taken away line by line.
        let kept: BTreeSet<&str> = code.lines().collect();
        all.lines()
            .filter(|line| !kept.contains(line))
            .for_each(|line| in_tests.extend(named(line)));
    }
    for source in Source::all_in("tests") {
        in_tests.extend(named(&source.text));
    }
    let index: Vec<Value> =
        serde_json::from_slice(&fs::read(root().join("tests/vectors/index.json")).unwrap())
            .unwrap();
    for entry in &index {
        in_tests.extend(named(entry["rule"].as_str().unwrap()));
    }
    let faults = faults(&page(), &in_code, &in_tests, UNNAMED_IN_CODE);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_are_counted_without_gaps() {
    let page = page();
    assert!(page.len() >= 33, "the page is there");
    assert_eq!(
        page.iter().copied().collect::<Vec<_>>(),
        (1..=page.len() as u32).collect::<Vec<_>>()
    );
}

#[test]
fn other_places_name_existing_rules_only() {
    let page = page();
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
        let unknown: Vec<_> =
            named(&fs::read_to_string(path).unwrap()).difference(&page).copied().collect();
        assert!(
            unknown.is_empty(),
            "{} names rules {unknown:?}, which do not exist",
            path.display()
        );
    }
}

#[test]
fn what_is_missing_is_found() {
    let set = |rules: &[u32]| rules.iter().copied().collect::<BTreeSet<u32>>();
    let rule = |number: u32| format!("F-{number}");
    assert_eq!(
        named(&format!("({}, `{}` to {}) UTF-8 PDF-{}", rule(1), rule(22), rule(30), 7)),
        set(&[1, 22, 30])
    );
    assert_eq!(
        defined(&format!("* **{}** One.\nsee {}\n* **{}** Two.", rule(1), rule(3), rule(2))),
        set(&[1, 2])
    );
    assert!(faults(&set(&[1, 2]), &set(&[1, 2]), &set(&[1, 2]), &[]).is_empty());
    assert!(faults(&set(&[1, 2]), &set(&[2]), &set(&[1, 2]), &[1]).is_empty());
    assert_eq!(faults(&set(&[1, 2]), &set(&[2]), &set(&[1, 2]), &[]).len(), 1);
    assert_eq!(faults(&set(&[1, 2]), &set(&[1, 2]), &set(&[1]), &[]).len(), 1);
    assert_eq!(faults(&set(&[1, 2]), &set(&[1, 2]), &set(&[1, 2]), &[1]).len(), 1);
    assert_eq!(faults(&set(&[1]), &set(&[1, 2]), &set(&[1]), &[]).len(), 1);
}
