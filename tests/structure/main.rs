//! The shape of the crate: who may know whom and no circles, what the core depends on, how its
//! files look, that every rule of the format has code and a test, that every public item has an
//! example, and that the package is one for strangers.
//!
//! Each check is a function over sources and is shown a planted violation.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod circles;
mod dependencies;
mod examples;
mod layers;
mod package;
mod rules;
mod source;
mod style;
mod tree;
mod words;

use source::Source;

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}\n{} faults", faults.join("\n"), faults.len());
}

fn planted(path: &str, text: &str) -> [Source; 1] {
    [Source::planted(path, text)]
}
