//! Any request fails, one at a time: what was there stays, or what is new is there, and nothing
//! else is left.

use super::watch::{Fault, watched};
use super::{OVERWRITE, Place, files, output};
use crate::output::commit_all;
use crate::output::file::Output;
use crate::output::settings::Settings;
use crate::output::system::Step::{self, *};
use rustix::io::Errno;
use std::collections::BTreeMap;

type Files = BTreeMap<String, String>;

/// What a file system lacks.
const SYSTEMS: &[&[(Step, Errno)]] = &[
    &[],
    &[(LinkNameless, Errno::PERM)],
    &[(CreateNameless, Errno::OPNOTSUPP)],
    &[(CreateNameless, Errno::OPNOTSUPP), (RenameExclusive, Errno::INVAL)],
    &[(CreateNameless, Errno::OPNOTSUPP), (RenameExclusive, Errno::INVAL), (Link, Errno::PERM)],
    &[(CreateNameless, Errno::ISDIR), (RenameExclusive, Errno::NOSYS), (Link, Errno::IO)],
    &[(Link, Errno::PERM)],
];

/// Runs `work` with the n-th request failing, for every n, until no request is left to fail.
fn every_fault(
    before: &[(&str, &str)],
    after: &[(&str, &str)],
    work: impl Fn(&Place) -> crate::Result<()>,
) {
    for system in SYSTEMS {
        for errno in [Errno::IO, Errno::INTR] {
            for nth in 0.. {
                let place = Place::new();
                for (name, content) in before {
                    place.write(name, content);
                }
                let fault = Fault::EachAndNth(system, nth, errno);
                let (done, steps) = watched(fault, || work(&place));
                let what = format!("{system:?}, {errno:?} at {nth} of {steps:?}: {done:?}");
                judge(&place.files(), done, &files(before), &files(after), &what);
                if nth > steps.len() {
                    break;
                }
            }
        }
    }
}

fn judge(now: &Files, done: crate::Result<()>, before: &Files, after: &Files, what: &str) {
    // What cannot be removed is still there, under a name that says what it is.
    let left = now.keys().filter(|name| name.starts_with(".ncp-envelope-")).count();
    let now: Files = now
        .iter()
        .filter(|(name, _)| !name.starts_with('.'))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let fault_hit_a_removal = what.contains("Remove") && left <= 1;
    assert!(left == 0 || fault_hit_a_removal, "{what}: {left} left");
    match done {
        Ok(()) => assert_eq!(&now, after, "{what}"),
        Err(error) if error.to_string().contains("in place and whole") => {
            assert_eq!(&now, after, "{what}");
        }
        Err(_) => assert_eq!(&now, before, "{what}"),
    }
}

#[test]
fn one_output() {
    let one = |settings: Settings| {
        move |place: &Place| output(&place.path("out"), settings, "new").and_then(Output::commit)
    };
    every_fault(&[], &[("out", "new")], one(Settings::default()));
    every_fault(&[("out", "old")], &[("out", "new")], one(OVERWRITE));
    every_fault(&[], &[("out", "new")], one(Settings { no_sync: true, ..OVERWRITE }));
    every_fault(&[], &[("out", "new")], one(Settings { mode: Some(0o640), ..OVERWRITE }));
}

#[test]
fn outputs_that_belong_together() {
    let both = |place: &Place| {
        commit_all(vec![
            output(&place.path("a"), OVERWRITE, "new a")?,
            output(&place.path("b"), OVERWRITE, "new b")?,
            output(&place.path("c"), OVERWRITE, "new c")?,
        ])
    };
    let after = [("a", "new a"), ("b", "new b"), ("c", "new c")];
    every_fault(&[], &after, both);
    every_fault(&[("a", "old a"), ("b", "old b"), ("c", "old c")], &after, both);
    every_fault(&[("b", "old b")], &after, both);
}
