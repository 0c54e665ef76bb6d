//! Durability: what is asked for, and in which order.

use super::watch::{ALONE, Fault, watched};
use super::{OVERWRITE, Place, files, output};
use crate::output::file::Output;
use crate::output::settings::Settings;
use crate::output::system::Step::{self, *};
use crate::output::temporary::go_on;
use crate::output::{commit_all, discard_unfinished};
use rustix::io::Errno;
use std::io::Write;
use std::sync::PoisonError;

const NAMED: &[(Step, Errno)] = &[(CreateNameless, Errno::OPNOTSUPP)];
const NO_LINKS: &[(Step, Errno)] =
    &[(CreateNameless, Errno::OPNOTSUPP), (RenameExclusive, Errno::INVAL), (Link, Errno::PERM)];

fn steps(settings: Settings, there: bool, fault: Fault<'_>) -> Vec<Step> {
    let place = Place::new();
    if there {
        place.write("out", "old");
    }
    let target = place.path("out");
    let (done, steps) =
        watched(fault, || output(&target, settings, "new").and_then(Output::commit));
    done.unwrap();
    assert_eq!(place.files(), files(&[("out", "new")]));
    steps
}

#[test]
fn the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end() {
    let new = Settings::default();
    let nothing = Fault::Nothing;
    assert_eq!(
        steps(new, false, nothing),
        [CreateNameless, Write, Sync, LinkNameless, SyncDirectory]
    );
    assert_eq!(
        steps(OVERWRITE, false, nothing),
        [CreateNameless, Write, Sync, LinkNameless, SyncDirectory]
    );
    // The first link finds the name taken; what replaces it needs one of its own.
    assert_eq!(
        steps(OVERWRITE, true, nothing),
        [CreateNameless, Write, Sync, LinkNameless, LinkNameless, Rename, SyncDirectory]
    );
    let quick = Settings { no_sync: true, ..OVERWRITE };
    assert_eq!(
        steps(quick, true, nothing),
        [CreateNameless, Write, LinkNameless, LinkNameless, Rename]
    );
}

#[test]
fn without_nameless_files_the_name_is_temporary() {
    let probed = [CreateNameless, CreateNamed, Write, SetLength];
    let with = |rest: &[Step]| [&probed[..], rest].concat();
    assert_eq!(
        steps(Settings::default(), false, Fault::Each(NAMED)),
        with(&[Write, Sync, RenameExclusive, SyncDirectory])
    );
    assert_eq!(
        steps(OVERWRITE, true, Fault::Each(NAMED)),
        with(&[Write, Sync, Rename, SyncDirectory])
    );
    assert_eq!(
        steps(Settings::default(), false, Fault::Each(&NO_LINKS[..2])),
        with(&[Write, Sync, RenameExclusive, Link, Remove, SyncDirectory])
    );
    assert_eq!(
        steps(Settings::default(), false, Fault::Each(NO_LINKS)),
        with(&[Write, Sync, RenameExclusive, Link, Claim, Rename, SyncDirectory])
    );
}

#[test]
fn a_nameless_file_that_cannot_be_given_a_name_is_copied() {
    let steps = steps(Settings::default(), false, Fault::Each(&[(LinkNameless, Errno::PERM)]));
    assert_eq!(
        steps,
        [
            CreateNameless,
            Write,
            Sync,
            LinkNameless,
            LinkNameless,
            CreateNamed,
            Copy,
            SetMode,
            Sync,
            RenameExclusive,
            SyncDirectory
        ]
    );
}

#[test]
fn what_comes_into_being_meanwhile_is_not_replaced() {
    for fault in [Fault::Nothing, Fault::Each(NAMED), Fault::Each(NO_LINKS)] {
        let place = Place::new();
        let target = place.path("out");
        let (error, _) = watched(fault, || {
            let output = output(&target, Settings::default(), "new").unwrap();
            place.write("out", "another's");
            output.commit().unwrap_err()
        });
        assert!(error.to_string().contains("exists"), "{error}");
        // As if it had been there from the start.
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{error}");
        assert_eq!(place.files(), files(&[("out", "another's")]));
    }
}

#[test]
fn a_directory_that_cannot_be_synced_is_an_error_only_where_that_loses_something() {
    for (errno, lost) in [
        (Errno::IO, true),
        (Errno::NOSPC, true),
        (Errno::DQUOT, true),
        (Errno::ACCESS, false),
        (Errno::PERM, false),
        (Errno::INVAL, false),
        (Errno::NOTSUP, false),
        (Errno::NOSYS, false),
        (Errno::BADF, false),
        (Errno::ROFS, false),
        (Errno::NOENT, false),
    ] {
        let place = Place::new();
        let target = place.path("out");
        let (done, _) = watched(Fault::Each(&[(SyncDirectory, errno)]), || {
            output(&target, Settings::default(), "new").unwrap().commit()
        });
        assert_eq!(done.is_err(), lost, "{errno:?}");
        if let Err(error) = done {
            assert!(error.to_string().contains("in place and whole"), "{error}");
        }
        assert_eq!(place.files(), files(&[("out", "new")]));
    }
}

#[test]
fn after_a_write_that_failed_nothing_is_committed() {
    for holes in [false, true] {
        let place = Place::new();
        let target = place.path("out");
        let settings = Settings { holes, ..Settings::default() };
        let (error, _) = watched(Fault::Nth(2, Errno::NOSPC), || {
            let mut output = output(&target, settings, "some").unwrap();
            assert!(output.write_all(b"lost").is_err());
            assert!(output.write_all(b"more").is_ok());
            output.commit().unwrap_err()
        });
        assert!(error.to_string().contains("a write to it failed"), "{error}");
        let (error, _) = watched(Fault::Nth(1, Errno::IO), || {
            let output = Output::create(&target, settings, None).unwrap();
            assert!(output.write_at(b"lost", 0).is_err());
            output.commit().unwrap_err()
        });
        assert!(error.to_string().contains("a write to it failed"), "{error}");
        assert_eq!(place.files(), files(&[]));
    }
}

#[test]
fn a_write_that_a_signal_came_between_is_made_again() {
    for holes in [false, true] {
        let place = Place::new();
        let target = place.path("out");
        let settings = Settings { holes, ..Settings::default() };
        let (done, steps) = watched(Fault::Nth(1, Errno::INTR), || {
            output(&target, settings, "new").and_then(Output::commit)
        });
        done.unwrap();
        assert_eq!(steps[..3], [CreateNameless, Write, Write]);
        assert_eq!(place.files(), files(&[("out", "new")]));
    }
}

#[test]
fn a_file_system_that_writes_in_order_only_is_found_out() {
    let place = Place::new();
    let fault = Fault::EachAndNth(NAMED, 2, Errno::SPIPE);
    let settings = Settings { holes: true, ..Settings::default() };
    let (done, _) = watched(fault, || {
        let mut output = Output::create(&place.path("out"), settings, None).unwrap();
        assert!(!output.seeks());
        output.write_all(&[0; 40_000]).unwrap();
        output.write_all(b"end").unwrap();
        output.commit()
    });
    done.unwrap();
    assert_eq!(place.files()["out"].len(), 40_003);
}

// Such a system has an empty file only some time after it was closed, and any other one at once.
#[test]
fn what_is_dropped_where_files_are_written_in_order_is_not_empty() {
    for (in_order, last) in [(true, &[Write, Remove][..]), (false, &[SetLength, Remove])] {
        let place = Place::new();
        let nth = if in_order { 2 } else { usize::MAX - 1 };
        let ((), steps) = watched(Fault::EachAndNth(NAMED, nth, Errno::SPIPE), || {
            drop(Output::create(&place.path("out"), Settings::default(), None).unwrap());
        });
        assert!(steps.ends_with(last), "{steps:?}");
        assert_eq!(place.files(), files(&[]));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn zeros_take_no_space_and_are_there() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let target = place.path("out");
    for (holes, in_order) in [(true, true), (true, false), (false, true)] {
        let settings = Settings { holes, ..OVERWRITE };
        let mut output = Output::create(&target, settings, None).unwrap();
        let mut content = vec![0; 8 << 20];
        content[3 << 20] = 7;
        if in_order {
            content.chunks(100_000).for_each(|part| output.write_all(part).unwrap());
        } else {
            for (at, part) in content.chunks(1 << 20).enumerate().rev() {
                output.write_at(part, (at << 20) as u64).unwrap();
            }
        }
        output.commit().unwrap();
        assert!(std::fs::read(&target).unwrap() == content);
        let taken = std::fs::metadata(&target).unwrap().blocks() * 512;
        assert_eq!(taken < 1 << 20, holes, "{taken}");
    }
}

#[test]
fn outputs_of_a_program_that_is_about_to_end_are_removed() {
    let place = Place::new();
    let named = || output(&place.path("out"), Settings::default(), "half").unwrap();
    let (unfinished, _) = watched(Fault::Each(NAMED), named);
    // A name that says whose it is, and that people do not see.
    let (name, _) = place.files().pop_first().unwrap();
    assert!(name.starts_with(".ncp-envelope-") && name.ends_with(".tmp"), "{name}");
    let alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    discard_unfinished();
    assert_eq!(place.files(), files(&[]));
    // Nobody begins anything under a temporary name any more.
    assert!(Output::create(&place.path("no/directory"), OVERWRITE, None).is_err());
    place.write("out", "old");
    let late = output(&place.path("out"), OVERWRITE, "new").unwrap().commit();
    go_on();
    drop(alone);
    assert_eq!(late.is_err(), cfg!(target_os = "linux"), "{late:?}");
    assert_eq!(place.files().remove("out").unwrap(), if late.is_err() { "old" } else { "new" });
    std::fs::remove_file(place.path("out")).unwrap();
    assert!(unfinished.commit().is_err());
    let (dropped, _) = watched(Fault::Each(NAMED), named);
    drop(dropped);
    assert_eq!(place.files(), files(&[]));
}

#[test]
fn outputs_that_belong_together_are_committed_in_their_order() {
    let place = Place::new();
    place.write("b", "old");
    let (done, steps) = watched(Fault::Nothing, || {
        commit_all(vec![
            output(&place.path("a"), OVERWRITE, "new a").unwrap(),
            output(&place.path("b"), OVERWRITE, "new b").unwrap(),
        ])
    });
    done.unwrap();
    assert_eq!(place.files(), files(&[("a", "new a"), ("b", "new b")]));
    assert_eq!(
        steps[4..],
        [
            Sync,
            Sync,
            LinkNameless,
            Link,
            LinkNameless,
            LinkNameless,
            Rename,
            Remove,
            SyncDirectory,
            SyncDirectory
        ]
    );
    let twice = ["a", "../a"].map(|name| {
        let directory = place.path("").join(if name == "a" { "." } else { "d" });
        std::fs::create_dir_all(&directory).unwrap();
        output(&directory.join(name), OVERWRITE, "twice").unwrap()
    });
    let error = commit_all(twice.into()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{error}");
    assert_eq!(place.files()["a"], "new a");
}

#[test]
fn what_cannot_be_put_back_is_not_replaced() {
    let place = Place::new();
    place.write("a", "old");
    let fault = Fault::Each(&[(Link, Errno::PERM), (Claim, Errno::ACCESS)]);
    let (error, _) = watched(fault, || {
        let both = ["a", "b"].map(|name| output(&place.path(name), OVERWRITE, "new").unwrap());
        commit_all(both.into()).unwrap_err()
    });
    assert!(error.to_string().starts_with("cannot keep what"), "{error}");
    assert_eq!(place.files(), files(&[("a", "old")]));
    // Nothing is to be put back of what somebody else removed meanwhile.
    let both = ["a", "b"].map(|name| output(&place.path(name), OVERWRITE, "new").unwrap());
    std::fs::remove_file(place.path("a")).unwrap();
    commit_all(both.into()).unwrap();
    assert_eq!(place.files(), files(&[("a", "new"), ("b", "new")]));
}
