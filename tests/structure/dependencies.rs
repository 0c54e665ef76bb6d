//! What the core depends on.

use crate::source::root;
use crate::{matches, none};
use std::collections::BTreeSet;
use std::process::Command;

/// Everything in the core's dependency tree on Linux, build dependencies included. A new name is a
/// decision: write it down in docs/design.md, then here.
const CORE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "bitflags",
    "block-buffer",
    "cc",
    "cfg-if",
    "cmake",
    "cmov",
    "cpufeatures",
    "crc32c",
    "crypto-common",
    "ctutils",
    "digest",
    "dunce",
    "fastrand",
    "find-msvc-tools",
    "fs_extra",
    "getrandom",
    "hmac",
    "hybrid-array",
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
    "sha2",
    "shlex",
    "tempfile",
    "typenum",
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

#[test]
fn the_core_depends_on_no_http_tls_serde_or_async_crate() {
    let core = core_tree(&["--no-default-features"]);
    assert!(core.contains("ncp-envelope") && core.contains("aws-lc-rs"), "{core:?}");
    none(in_core(&core));

    // The check can fail: the default features bring nearly everything that it looks for.
    let faults = in_core(&core_tree(&[])).join("\n");
    for name in ["reqwest", "hyper", "rustls", "tokio", "serde", "http"] {
        assert!(
            faults.contains(&format!("{name} has no place")),
            "{name} was not found in {faults}"
        );
    }
    assert_eq!(in_core(&core.iter().cloned().chain(["left-pad".to_owned()]).collect()).len(), 1);
}
