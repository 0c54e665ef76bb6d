//! The shape of the crate: who may know whom, what the core depends on, how long a file is, and
//! that one module alone is `unsafe`.
//!
//! Each check is a function over sources and is first shown to find a planted violation.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod source;

use source::{Reached, Source, code, paths, root};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A module at the top of the crate.
struct Layer {
    name: &'static str,
    /// Modules it may name; `wrap::KeyId` is that item only, `wrap::MAX_*` all that start so.
    knows: &'static [&'static str],
    /// Paths outside the crate that it may not name.
    never: &'static [&'static str],
}

const NO_IO: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "tokio",
    "reqwest",
    "axum",
    "serde",
    "serde_json",
    "base64",
];
const NO_SERVICE: &[&str] = &[
    "std::fs",
    "std::net",
    "tokio",
    "reqwest",
    "axum",
    "serde",
    "serde_json",
    "base64",
    "secrecy",
];
const NO_HTTP: &[&str] =
    &["std::net", "reqwest", "axum", "serde", "serde_json", "base64", "secrecy", "jsonwebtoken"];

/// The whole rule. A new module has to be given a line here.
const LAYERS: &[Layer] = &[
    Layer { name: "error", knows: &[], never: NO_IO },
    Layer { name: "memory", knows: &[], never: NO_HTTP },
    Layer { name: "secret", knows: &["error"], never: NO_IO },
    Layer { name: "context", knows: &["error"], never: NO_IO },
    Layer { name: "wrap", knows: &["error", "secret", "context"], never: NO_IO },
    // Never the trait KeyWrapper: the format does not know that keys are wrapped by anyone.
    Layer {
        name: "format",
        knows: &[
            "error",
            "memory",
            "secret",
            "context",
            "wrap::KeyId",
            "wrap::WrappedKey",
            "wrap::Provider",
            "wrap::ZoneHint",
            "wrap::MAX_*",
        ],
        never: NO_IO,
    },
    Layer { name: "cache", knows: &["error", "secret", "context", "wrap"], never: NO_SERVICE },
    Layer { name: "policy", knows: &["error", "context", "wrap", "format"], never: NO_IO },
    Layer {
        name: "envelope",
        knows: &["error", "secret", "context", "wrap", "format", "cache", "policy"],
        never: NO_IO,
    },
    Layer {
        name: "io",
        knows: &["error", "secret", "context", "format", "policy", "envelope"],
        never: NO_HTTP,
    },
    Layer { name: "kms", knows: &["error", "secret", "wrap"], never: &["axum", "jsonwebtoken"] },
    // Nothing of the client: two independent readings of the service's documentation catch each
    // other's mistakes.
    Layer { name: "emulator", knows: &["error"], never: &["reqwest"] },
];

/// What single files may name although their layer may not, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Where there is a runtime, calls to the key service are tasks of their own. Nothing else of
    // tokio.
    ("src/cache/drive.rs", "tokio::runtime::Handle"),
];

/// Everything in the core's dependency tree on Linux, build dependencies included. A name more is a
/// decision: write it down in docs/design.md, then here.
const CORE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "bitflags",
    "cc",
    "cfg-if",
    "cmake",
    "crc32c",
    "dunce",
    "fastrand",
    "find-msvc-tools",
    "fs_extra",
    "getrandom",
    "jobserver",
    "libc",
    "linux-raw-sys",
    "lru",
    "ncp-envelope",
    "once_cell",
    "pkg-config",
    "rustc_version",
    "rustix",
    "same-file",
    "semver",
    "shlex",
    "tempfile",
    "zeroize",
];

/// What the core may never have, whatever the list above says. A `*` stands for any ending.
const NEVER_IN_CORE: &[&str] = &[
    "async-*",
    "axum*",
    "futures*",
    "h2",
    "h3",
    "http",
    "http-*",
    "hyper*",
    "mio",
    "native-tls",
    "openssl*",
    "quinn*",
    "reqwest",
    "rustls*",
    "serde*",
    "smol*",
    "tokio*",
    "tower*",
    "ureq",
    "webpki*",
];

const MAX_LINES: usize = 400;
/// Longer files, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

fn layer_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let name = inner.split(['/', '.']).next()?;
    (!["lib", "bin"].contains(&name)).then_some(name)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The names that lib.rs re-exports, and the module each comes from.
fn root_exports(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").expect("src/lib.rs");
    let reexports = paths(lib).into_iter().filter_map(|path| match path {
        Reached::Other(path) | Reached::Crate(path) => match &path[..] {
            [module, .., name] => Some((name.clone(), module.clone())),
            _ => None,
        },
    });
    reexports.collect()
}

fn layering(sources: &[Source], exports: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let code = code(&source.text);
        for (at, banned) in ["#[path", "include!", "extern crate"]
            .iter()
            .flat_map(|banned| code.match_indices(banned))
        {
            // A file of tests may have a name of its own beside what it tests.
            let beside = banned == "#[path"
                && !source.text[at..].split(']').next().unwrap_or_default().contains(['/', '\\']);
            if !beside {
                faults.push(format!("{}: {banned} goes round the layers", source.path));
            }
        }
        let Some(own) = layer_of(&source.path) else { continue };
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == own) else {
            faults.push(format!("{}: module {own} has no line in the table", source.path));
            continue;
        };
        for path in paths(source) {
            let fault = match &path {
                Reached::Crate(path) => reach(layer, path, exports),
                Reached::Other(path) if path[0] == "ncp_envelope" => {
                    Some("names the crate from outside".to_owned())
                }
                Reached::Other(path) => {
                    let full = path.join("::");
                    let within =
                        |outer: &str| full == outer || full.starts_with(&format!("{outer}::"));
                    let allowed = EXCEPTIONS
                        .iter()
                        .any(|(path, outer)| *path == source.path && within(outer));
                    let barred = layer.never.iter().find(|barred| !allowed && within(barred));
                    barred.map(|_| format!("{own} may not know {full}"))
                }
            };
            faults.extend(fault.map(|fault| format!("{}: {fault}", source.path)));
        }
    }
    faults
}

fn reach(layer: &Layer, path: &[String], exports: &BTreeMap<String, String>) -> Option<String> {
    let Some(first) = path.first() else {
        return Some("takes the crate's root".to_owned());
    };
    let mut path = path.to_vec();
    if !LAYERS.iter().any(|layer| layer.name == first) {
        let Some(module) = exports.get(first) else {
            return Some(format!("{} leads to no module in the table", path.join("::")));
        };
        path.insert(0, module.clone());
    }
    let known = path[0] == layer.name
        || layer.knows.iter().any(|known| match known.split_once("::") {
            None => path[0] == *known,
            Some((module, item)) => {
                path[0] == module && path.get(1).is_some_and(|name| matches(item, name))
            }
        });
    (!known).then(|| format!("{} may not know {}", layer.name, path.join("::")))
}

fn long_files(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    let length = |source: &Source| source.without_tests().lines().count();
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
    let word = |code: &str| {
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    };
    sources
        .iter()
        .filter(|source| word(&code(&source.text)))
        .map(|source| format!("{} has unsafe code", source.path))
        .collect()
}

fn in_core(names: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for name in names {
        if NEVER_IN_CORE.iter().any(|never| matches(never, name)) {
            faults.push(format!("{name} has no place in the core"));
        } else if !CORE.contains(&name.as_str()) {
            faults
                .push(format!("{name} is new in the core: decide, and say why in docs/design.md"));
        }
    }
    faults.extend(
        CORE.iter()
            .filter(|name| !names.contains(**name))
            .map(|name| format!("{name} left the core: take it off the list")),
    );
    faults
}

fn core_tree(extra: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    // One target, so that the list is the same wherever the test runs.
    cargo.args([
        "tree",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]);
    let output = cargo.args(extra).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn planted(path: &str, text: &str) -> [Source; 1] {
    [Source { path: path.to_owned(), text: text.to_owned() }]
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}\n{} faults", faults.join("\n"), faults.len());
}

#[test]
fn no_layer_knows_what_it_may_not() {
    let sources = Source::all_in("src");
    none(layering(&sources, &root_exports(&sources)));
    for layer in LAYERS {
        assert!(
            sources.iter().any(|source| layer_of(&source.path) == Some(layer.name)),
            "{} is in the table only",
            layer.name
        );
    }
}

#[test]
fn forbidden_paths_are_found_in_every_spelling() {
    let exports = root_exports(&Source::all_in("src"));
    assert_eq!(exports.get("LocalKeyWrapper").map(String::as_str), Some("wrap"));
    assert_eq!(exports.get("MAX_CONTEXT_LEN").map(String::as_str), Some("context"));
    for (path, text) in [
        ("src/format/chunk.rs", "use crate::wrap::KeyWrapper;"),
        ("src/format/chunk.rs", "use crate::wrap::{self, KeyId};"),
        ("src/format/chunk.rs", "use crate::{error::Error, cache::KeyCache};"),
        ("src/format/chunk.rs", "use crate::KeyWrapper;"),
        ("src/format/chunk.rs", "use crate::*;"),
        ("src/format/chunk.rs", "use super::super::kms;"),
        ("src/format/chunk.rs", "use super::super as root;"),
        ("src/format/chunk.rs", "mod tests { use super::super::super::envelope::Envelope; }"),
        ("src/format/chunk.rs", "fn f() -> crate :: io::Reader { todo!() }"),
        ("src/format/chunk.rs", "fn f(c: char) { if c == '\"' { super::super::io::f() } }"),
        ("src/format/chunk.rs", "use std::{fmt, fs::File};"),
        ("src/format/chunk.rs", "fn f() { ::tokio::spawn(g()) }"),
        ("src/format.rs", "use super::policy;"),
        ("src/cache/store.rs", "let a = \"//\"; use crate::kms::Client;"),
        ("src/cache/store.rs", "use serde::Serialize;"),
        ("src/cache/store.rs", "use tokio;"),
        ("src/cache/store.rs", "fn f() { tokio::runtime::Handle::current(); }"),
        ("src/cache/drive.rs", "fn f() { tokio::spawn(g()) }"),
        ("src/wrap/local.rs", "use crate::format::Header;"),
        ("src/emulator/auth.rs", "use crate::kms::auth;"),
        ("src/emulator/auth.rs", "use ncp_envelope::kms;"),
        ("src/kms/client.rs", "use crate::format;"),
        ("src/kms/client.rs", "use crate::Scope;"),
        ("src/kms/client.rs", "#[path = \"../emulator/auth.rs\"] mod auth;"),
        ("src/kms/client.rs", "include!(\"../emulator/auth.rs\");"),
        ("src/store/bulk.rs", "fn new_module() {}"),
    ] {
        let faults = layering(&planted(path, text), &exports);
        assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
    }
    for (path, text) in [
        (
            "src/format/chunk.rs",
            "use crate::wrap::{KeyId, MAX_KEY_ID_LEN}; use super::{header, slots::SlotTable};",
        ),
        (
            "src/format/chunk.rs",
            "/// As [`Envelope`](crate::Envelope).\n// crate::kms::Client\n/* use crate::kms; /* */ crate::io */ fn f() {}",
        ),
        (
            "src/format/chunk.rs",
            "const A: &str = \"use crate::kms;\"; const B: &str = r#\"crate::\"io\"#; const C: &[u8] = b\"crate::io\";",
        ),
        ("src/format/chunk.rs", "pub(in super::super) fn f<'a>(x: &'a str) -> &'a str { x }"),
        (
            "src/cache/store.rs",
            "use std::sync::{Arc, Mutex}; use super::CacheId; mod tests { use super::*; use crate::wrap::Provider; }",
        ),
        ("src/kms/wire.rs", "#[cfg(test)]\n#[path = \"wire_tests.rs\"]\nmod tests;"),
        ("src/io/tokio.rs", "use ::tokio::io::AsyncRead; use super::read::Body; use crate::Error;"),
        ("src/bin/ncp-envelope/main.rs", "use ncp_envelope::kms; use crate::arguments;"),
    ] {
        none(layering(&planted(path, text), &exports));
    }
}

#[test]
fn the_core_depends_on_no_http_tls_serde_or_async_crate() {
    let core = core_tree(&["--no-default-features"]);
    assert!(core.contains("ncp-envelope") && core.contains("aws-lc-rs"), "{core:?}");
    none(in_core(&core));

    // The check can fail: the default features bring nearly everything that it is there to find.
    let faults = in_core(&core_tree(&[])).join("\n");
    for name in ["reqwest", "hyper", "rustls", "tokio", "serde", "http"] {
        assert!(
            faults.contains(&format!("{name} has no place")),
            "{name} was not found in {faults}"
        );
    }
    assert_eq!(in_core(&core.iter().cloned().chain(["left-pad".to_owned()]).collect()).len(), 1);
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
