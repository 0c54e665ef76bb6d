//! Whether the cases leave nothing out: every option, exit code and message of every command.

use crate::cases::{Case, cases};
use crate::kit::{commands, help_of};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Headings of options that many commands have and one piece of code handles: one case is enough.
const SHARED: &[&str] = &["KMS options:"];

/// The options of every command.
const EVERYWHERE: &[&str] = &["--help", "--version", "--quiet"];

/// What the commands of a line of a case are, and the words behind each.
fn used(line: &str, all: &[Vec<String>]) -> Vec<(Vec<String>, BTreeSet<String>)> {
    let words: Vec<_> = line.split([' ', '|', ';', '\'']).filter(|word| !word.is_empty()).collect();
    let starts = words.iter().enumerate().filter(|(_, word)| **word == "ncp-envelope");
    let one = |(start, _): (usize, _)| {
        let (mut command, mut options) = (Vec::new(), BTreeSet::new());
        for word in words[start + 1..].iter().take_while(|word| **word != "ncp-envelope") {
            let deeper = [&command[..], &[(*word).to_owned()]].concat();
            match word.strip_prefix('-') {
                Some(_) => drop(options.insert(word.split('=').next().unwrap().to_owned())),
                None if all.contains(&deeper) => command = deeper,
                None => {}
            }
        }
        (command, options)
    };
    starts.map(one).collect()
}

/// Options of a command as its help lists them: the long name and the short one, and whether others
/// share it.
fn options(help: &str) -> Vec<(Vec<String>, bool)> {
    let (mut all, mut shared) = (Vec::new(), false);
    for line in help.lines() {
        if line.ends_with(':') && !line.starts_with(' ') {
            shared = SHARED.contains(&line);
        }
        let option = line.trim_start();
        if line.starts_with("  ") && option.starts_with('-') && line.len() - option.len() < 8 {
            let names = option.split([' ', ',', '[', '=']).filter(|name| name.starts_with('-'));
            let names = names.take_while(|name| !name.is_empty()).take(2);
            all.push((names.map(str::to_owned).collect(), shared));
        }
    }
    all
}

#[test]
fn every_option_is_in_a_case() {
    let (all, cases) = (commands(), cases());
    let lines = cases.iter().flat_map(|case| &case.steps).map(|step| step.command.as_str());
    let used: Vec<_> = lines.flat_map(|line| used(line, &all)).collect();
    let mut missing = BTreeSet::new();
    for command in all.iter().filter(|command| !command.is_empty()) {
        for (names, shared) in options(&help_of(command, "-h")) {
            if names.iter().any(|name| EVERYWHERE.contains(&name.as_str())) {
                continue;
            }
            let is_used = used.iter().any(|(other, options)| {
                (shared || other == command) && names.iter().any(|name| options.contains(name))
            });
            if !is_used {
                let name = names.last().unwrap();
                missing.insert(if shared { name.clone() } else { format!("{command:?} {name}") });
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Exit codes that a command cannot have, and why.
const IMPOSSIBLE: &[(&str, &[i32], &str)] = &[
    ("encrypt", &[3], "reads no message"),
    ("inspect", &[4, 5], "calls no service"),
    ("audit", &[4, 5], "calls no service"),
    ("keys", &[3], "reads no message"),
    ("tokens", &[3], "reads no message"),
    ("config", &[3, 5], "reads no message, and calls no service"),
    ("bench", &[3, 4, 5], "reads no message of others, and calls no service"),
    ("emulator", &[3, 4, 5], "reads no message, and calls no service"),
    ("completions", &[3, 4, 5], "only prints"),
    ("man", &[3, 4, 5], "only prints and writes files"),
];

#[test]
fn every_exit_code_is_in_a_case() {
    let all = commands();
    let mut codes: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for step in cases().iter().flat_map(|case: &Case| &case.steps) {
        for (command, _) in used(&step.command, &all) {
            let Some(top) = command.first() else { continue };
            codes.entry(top.clone()).or_default().insert(step.code);
        }
    }
    let (mut wrong, none) = (Vec::new(), BTreeSet::new());
    for top in all.iter().filter(|command| command.len() == 1).map(|command| &command[0]) {
        let impossible = IMPOSSIBLE.iter().find(|(of, ..)| of == top).map_or(&[][..], |it| it.1);
        let there = codes.get(top).unwrap_or(&none);
        for code in 0..=5 {
            if there.contains(&code) == impossible.contains(&code) {
                wrong.push(format!("{top}: {code}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Texts that no test can cause, by their beginning, and why.
const NOT_CAUSED: &[(&str, &str)] = &[
    ("Do you want to", "asked on a terminal, as signals.rs does"),
    ("not confirmed", "answered on a terminal"),
    ("cannot start: ", "the system refuses signals or threads"),
    ("this is a fault of the program", "a panic"),
    ("{shown} is a block device", "needs a block device"),
    ("cannot sync: ", "needs a device that fails"),
    ("# Settings of ncp-envelope", "written into the file, which config.rs reads"),
    ("{field} has characters", "no command line holds them"),
    ("it is in several places", "the last defence before a file is written"),
    ("the file would say something else", "the last defence before a file is written"),
    ("--store-credentials: {why}", "credentials with special characters: config.rs"),
    ("{other} is not a setting", "the table of settings is complete"),
    ("detached: an object of its own", "the program writes no detached message"),
    ("{option} {text} has no address", "needs a name without an address"),
    ("the connection is not a JSON object", "the emulator's is one"),
    ("cannot start a thread", "the system refuses threads"),
    ("a ciphertext is not for a terminal", "written to a terminal"),
    ("stopped before the first line", "the reading thread panics"),
    ("a value failed and did not", "what fails once fails again"),
    ("--range needs a regular file", "the file becomes something else meanwhile"),
    ("the service gave no plaintext", "service.rs has such a service"),
    ("the plaintext is too long for base64", "the service's limit is lower"),
    ("cannot use {path}", "the disk fails while it is measured"),
    ("cannot create a directory in", "root may write everywhere"),
    ("cannot set up the cipher", "the cipher fails"),
    ("sealing failed", "the cipher fails"),
    ("sealing alone", "a row of bench, whose figures differ"),
    ("\nMedians of {rounds} rounds", "in two lines of a case"),
    ("{} is an input twice", "the two names have two outputs"),
    ("cannot read the directory", "root may read everywhere"),
    ("cannot find your data directory", "every user here has a home"),
    ("what is no file", "for kinds that this system has not"),
    ("cannot set rights and time", "root may set them"),
    ("links are not copied on this system", "another system"),
];

#[test]
fn every_message_is_in_a_case_or_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut said: Vec<String> =
        cases().into_iter().flat_map(|case| case.steps).flat_map(|step| step.said).collect();
    // The table above repeats what it excuses.
    let tests = sources(&root.join("tests/program"));
    for path in tests.into_iter().filter(|path| !path.ends_with("complete.rs")) {
        let text = fs::read_to_string(path).unwrap();
        said.extend(literals(&text));
    }
    let (mut missing, mut excused) = (Vec::new(), BTreeSet::new());
    for path in sources(&root.join("src/bin")) {
        if path.components().any(|part| part.as_os_str() == "help") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (text, tests) = match text.find("#[cfg(test)]").or(text.find("#[cfg(all(test")) {
            Some(at) => text.split_at(at),
            None => (&text[..], ""),
        };
        said.extend(literals(tests));
        for literal in literals(text).into_iter().filter(|literal| is_a_message(literal)) {
            let parts = parts(&literal);
            if said.iter().any(|line| holds(line, &parts)) {
                continue;
            }
            match NOT_CAUSED.iter().find(|(begins, _)| literal.starts_with(begins)) {
                Some((begins, _)) => drop(excused.insert(*begins)),
                None => missing.push(format!("{}: {literal}", path.file_name().unwrap().display())),
            }
        }
    }
    let needless = NOT_CAUSED.iter().filter(|(begins, _)| !excused.contains(begins));
    let needless: Vec<_> = needless.collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(needless.is_empty(), "{needless:?}");
}

/// At least two words of letters, outside of `{…}`.
fn is_a_message(text: &str) -> bool {
    let text = parts(text).join("\0");
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    text.contains(' ') && text.split([' ', '\0', ':', ',', '.', ';']).filter(is_word).count() > 1
}

/// What is around the values in a format string.
fn parts(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let pieces = text.split('{').enumerate().map(|(at, piece)| match at {
        0 => piece,
        _ => piece.split_once('}').map_or(piece, |(_, rest)| rest),
    });
    let plain = |piece: &str| piece.replace('\u{1}', "{").replace('\u{2}', "}").trim().to_owned();
    pieces.map(plain).filter(|piece| !piece.is_empty()).collect()
}

/// Whether `line` has all of `parts`, one behind the other.
fn holds(line: &str, parts: &[String]) -> bool {
    let mut rest = line;
    parts.iter().all(|part| {
        let found = rest.find(part.as_str());
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

#[test]
fn parts_of_a_message_are_found_in_their_order() {
    assert_eq!(parts("{a} is {{b}}: {error}"), ["is {b}:"]);
    assert!(holds("f is not g: why", &parts("{} is not {other}:")));
    assert!(!holds("f not is g", &parts("{} is {} not {}")));
    assert!(is_a_message("no key: give one") && !is_a_message("{bar} {pos}/{len}"));
    assert_eq!(literals("/// a b\n#[x = \"c d\"]\nf(\"e f\", g!(\"h\"));"), ["e f", "h"]);
}

/// The strings in a source, without those in attributes and documentation.
fn literals(text: &str) -> Vec<String> {
    fn walk(tokens: TokenStream, found: &mut Vec<String>) {
        let mut attribute = false;
        for token in tokens {
            match token {
                TokenTree::Group(_) if attribute => {}
                TokenTree::Group(group) => walk(group.stream(), found),
                TokenTree::Literal(literal) => {
                    let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                    found.extend(text.map(|text| text.value()));
                }
                TokenTree::Punct(sign) if sign.as_char() == '#' => {
                    attribute = true;
                    continue;
                }
                // As in `#![…]`.
                TokenTree::Punct(sign) if attribute && sign.as_char() == '!' => continue,
                _ => {}
            }
            attribute = false;
        }
    }
    let mut found = Vec::new();
    walk(text.parse().unwrap_or_default(), &mut found);
    found
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let deeper = inside.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    deeper.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
