//! Layers: which module may use which. The check is first tested with planted violations.

use crate::source::{Reached, Source};
use crate::{matches, none, planted};
use std::collections::BTreeMap;

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

/// The whole rule. A new module needs a line here.
const LAYERS: &[Layer] = &[
    Layer { name: "error", knows: &[], never: NO_IO },
    Layer { name: "memory", knows: &[], never: NO_HTTP },
    Layer { name: "stack", knows: &[], never: NO_IO },
    Layer { name: "secret", knows: &["crypto", "error", "stack"], never: NO_IO },
    // The environment chooses the library.
    Layer { name: "crypto", knows: &["error", "memory", "stack"], never: NO_SERVICE },
    Layer { name: "crew", knows: &["error"], never: NO_IO },
    Layer { name: "random", knows: &["error", "secret"], never: NO_IO },
    Layer { name: "context", knows: &["error"], never: NO_IO },
    Layer { name: "suite", knows: &[], never: NO_IO },
    Layer { name: "process", knows: &["memory"], never: NO_HTTP },
    Layer { name: "runtime", knows: &["error", "process"], never: NO_HTTP },
    Layer { name: "output", knows: &["error", "process"], never: NO_HTTP },
    Layer { name: "wrap", knows: &["crypto", "error", "secret", "context", "suite"], never: NO_IO },
    // Never the trait KeyWrapper: the format does not know what wraps keys.
    Layer {
        name: "format",
        knows: &[
            "crypto",
            "crew",
            "error",
            "memory",
            "secret",
            "stack",
            "context",
            "suite",
            "wrap::KeyId",
            "wrap::WrappedKey",
            "wrap::Provider",
            "wrap::ZoneHint",
            "wrap::MAX_*",
            "wrap::slot",
        ],
        never: NO_IO,
    },
    Layer {
        name: "datakey",
        knows: &["error", "process", "random", "runtime", "secret", "context", "suite", "wrap"],
        never: NO_SERVICE,
    },
    Layer { name: "policy", knows: &["error", "context", "wrap", "format"], never: NO_IO },
    Layer {
        name: "envelope",
        knows: &[
            "crypto", "error", "secret", "context", "suite", "wrap", "format", "datakey", "policy",
        ],
        never: NO_IO,
    },
    // The format of messages and that of values know nothing of each other.
    Layer {
        name: "fields",
        knows: &[
            "crew",
            "crypto",
            "error",
            "memory",
            "secret",
            "stack",
            "context",
            "datakey",
            "envelope",
            "wrap::Binding",
            "wrap::WrappedKey",
            "wrap::slot",
            "wrap::MAX_*",
        ],
        never: NO_IO,
    },
    // The only module of the core that knows serde.
    Layer {
        name: "config",
        knows: &["error", "context", "wrap", "format", "datakey", "fields"],
        never: &["std::fs", "std::net", "tokio", "reqwest", "axum", "base64", "secrecy"],
    },
    Layer {
        name: "io",
        knows: &[
            "crew",
            "error",
            "memory",
            "output",
            "runtime",
            "secret",
            "context",
            "format",
            "policy",
            "envelope",
            "wrap::BoxFuture",
        ],
        never: NO_HTTP,
    },
    // No key service: the caller says which slots belong to which key, and which version they have.
    Layer {
        name: "stored",
        knows: &[
            "crew", "error", "output", "runtime", "secret", "context", "wrap", "format", "policy",
            "envelope", "io",
        ],
        never: NO_HTTP,
    },
    Layer {
        name: "blocking",
        knows: &[
            "crypto", "error", "runtime", "context", "wrap", "format", "datakey", "policy",
            "envelope", "io", "fields", "stored",
        ],
        never: NO_HTTP,
    },
    Layer {
        name: "kms",
        // Of the cache only its limits, which a profile holds: a form of configuration files.
        knows: &[
            "config",
            "error",
            "output",
            "process",
            "random",
            "runtime",
            "secret",
            "wrap",
            "datakey::CacheLimits",
        ],
        never: &["axum", "jsonwebtoken"],
    },
    // No client code: two independent readings of the service's documentation catch each other's
    // mistakes.
    Layer {
        name: "emulator",
        knows: &["error", "output", "process", "runtime"],
        never: &["reqwest"],
    },
];

fn layer_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let name = inner.split(['/', '.']).next()?;
    (!["lib", "bin"].contains(&name)).then_some(name)
}

/// The names that lib.rs re-exports, and the module each comes from.
fn root_exports(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").expect("src/lib.rs");
    let reexports = lib.paths().into_iter().filter_map(|named| match named.reached {
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
        let words = source.words().join(" ");
        for banned in ["# ( path =", "include !", "extern crate"] {
            for (at, _) in words.match_indices(banned) {
                // A file of tests may have a name of its own in the folder of its subject.
                let beside = banned.starts_with('#') && is_beside(source, &words[..at], banned);
                if !beside {
                    faults.push(format!("{}: {banned} goes round the layers", source.path));
                }
            }
        }
        let Some(own) = layer_of(&source.path) else { continue };
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == own) else {
            faults.push(format!("{}: module {own} has no line in the table", source.path));
            continue;
        };
        for named in source.paths() {
            let fault = match &named.reached {
                Reached::Crate(path) => reach(layer, path, exports),
                Reached::Other(path) if path[0] == "ncp_envelope" => {
                    Some("names the crate from outside".to_owned())
                }
                Reached::Other(path) => {
                    let full = path.join("::");
                    let within =
                        |outer: &str| full == outer || full.starts_with(&format!("{outer}::"));
                    let barred = layer.never.iter().find(|barred| within(barred));
                    barred.map(|_| format!("{own} may not know {full}"))
                }
            };
            faults.extend(fault.map(|fault| format!("{}: {fault}", source.path)));
        }
    }
    faults
}

/// Whether the `#[path]` that comes next after `before` names a file in the same folder.
fn is_beside(source: &Source, before: &str, attribute: &str) -> bool {
    let earlier = before.matches(attribute).count();
    let name = source.text.split("#[path").nth(earlier + 1).unwrap_or_default();
    !name.split(']').next().unwrap_or_default().contains(['/', '\\'])
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
        ("src/format/chunk.rs", "use crate::{error::Error, datakey::KeyCache};"),
        ("src/format/chunk.rs", "use crate::KeyWrapper;"),
        ("src/format/chunk.rs", "use crate::*;"),
        ("src/format/chunk.rs", "use super::super::kms;"),
        ("src/format/chunk.rs", "use super::super as root;"),
        ("src/format/chunk.rs", "mod tests { use super::super::super::envelope::Envelope; }"),
        ("src/format/chunk.rs", "fn f() -> crate :: io::Reader { todo!() }"),
        ("src/format/chunk.rs", "fn f(c: char) { if c == '\"' { super::super::io::f() } }"),
        ("src/format/chunk.rs", "use std::{fmt, fs::File};"),
        ("src/format/chunk.rs", "fn f() { ::tokio::spawn(g()) }"),
        ("src/format/mod.rs", "use super::policy;"),
        ("src/datakey/cache/store.rs", "const A: &str = \"//\"; use crate::kms::Client;"),
        ("src/datakey/cache/store.rs", "use serde::Serialize;"),
        ("src/datakey/cache/store.rs", "use tokio;"),
        ("src/datakey/cache/store.rs", "fn f() { tokio::runtime::Handle::current(); }"),
        ("src/datakey/batch/drive.rs", "fn f() { tokio::spawn(g()) }"),
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
            "/// As [`Envelope`](crate::Envelope).\n// crate::kms::Client\n/* use crate::kms; /* \
             */ crate::io */ fn f() {}",
        ),
        (
            "src/format/chunk.rs",
            "const A: &str = \"use crate::kms;\"; const B: &str = r#\"crate::\"io\"#; const C: \
             &[u8] = b\"crate::io\";",
        ),
        ("src/format/chunk.rs", "pub(in super::super) fn f<'a>(x: &'a str) -> &'a str { x }"),
        (
            "src/datakey/cache/store.rs",
            "use std::sync::{Arc, Mutex}; use super::CacheId; mod tests \
             { use super::*; use crate::wrap::Provider; }",
        ),
        ("src/kms/wire/mod.rs", "#[cfg(test)]\n#[path = \"wire_tests.rs\"]\nmod tests;"),
        ("src/io/tokio.rs", "use ::tokio::io::AsyncRead; use super::read::Body; use crate::Error;"),
        ("src/bin/ncp-envelope/main.rs", "use ncp_envelope::kms; use crate::arguments;"),
    ] {
        none(layering(&planted(path, text), &exports));
    }
}
