//! The structure of the crate: layers, no cycles, the core's dependencies, the style of files, code
//! and a test for every rule of the format, an example for every public item, and a package that is
//! complete.
//!
//! Each check is a function over sources, and is tested with a planted violation.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
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
