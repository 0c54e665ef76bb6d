//! Who may read an output.

use super::watch::{Fault, watched};
use super::{OVERWRITE, Place};
use crate::output::file::Output;
use crate::output::settings::{Settings, Source};
use crate::output::system::Step;
use rustix::io::Errno;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// What the umask leaves of everything.
fn left(place: &Place) -> u32 {
    let probe = place.path("probe");
    fs::create_dir(&probe).unwrap();
    let left = mode(&probe) & 0o777;
    fs::remove_dir(&probe).unwrap();
    left
}

/// The mode of "out", made from "in".
fn made(place: &Place, settings: Settings, lacking: Option<Step>) -> u32 {
    let source = place.path("in");
    let opened = source.exists().then(|| File::open(&source).unwrap());
    let metadata = opened.as_ref().map(|file| file.metadata().unwrap());
    let source = opened.as_ref().zip(metadata.as_ref()).map(|(file, metadata)| Source {
        file,
        path: &source,
        metadata,
    });
    let fault: Vec<_> = lacking.into_iter().map(|step| (step, Errno::OPNOTSUPP)).collect();
    let ((), _) = watched(Fault::Each(&fault), || {
        let mut output = Output::create(&place.path("out"), settings, source).unwrap();
        // Nobody gets at it earlier than at the end.
        let first = output.file().metadata().unwrap().mode() & 0o777;
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        let last = mode(&place.path("out"));
        assert!(settings.mode.is_some() || first & !last == 0 || first == last, "{first:o}");
    });
    mode(&place.path("out"))
}

#[test]
fn rights_are_the_sources_and_those_of_what_is_replaced_and_never_more() {
    for named in [None, Some(Step::CreateNameless), Some(Step::LinkNameless)] {
        for source in [None, Some(0o600), Some(0o644), Some(0o755), Some(0o444), Some(0o4750)] {
            for replaced in [None, Some(0o600), Some(0o640), Some(0o666), Some(0o700)] {
                let place = Place::new();
                let umask = left(&place);
                if let Some(mode) = source {
                    set(&place.write("in", "data"), mode);
                }
                if let Some(mode) = replaced {
                    set(&place.write("out", "old"), mode);
                }
                let whole = source.unwrap_or(0o666) & replaced.unwrap_or(0o777) & 0o777;
                let what = format!("{source:?} {replaced:?} {named:?}");
                assert_eq!(made(&place, OVERWRITE, named), whole & umask, "{what}");
                let narrow = Settings { max_mode: Some(0o600), ..OVERWRITE };
                assert_eq!(made(&place, narrow, named), whole & 0o600, "{what}");
                let exact = Settings { mode: Some(0o646), ..OVERWRITE };
                assert_eq!(made(&place, exact, named), 0o646, "{what}");
            }
        }
    }
}

/// Only a privileged user can give files away; for others, nothing of this can happen.
#[test]
fn an_owner_stays_and_rights_of_a_group_do_not_pass_to_another() {
    let place = Place::new();
    let (source, target) = (place.write("in", "data"), place.write("out", "old"));
    if chown(&target, Some(12_345), Some(23_456)).is_err() {
        return;
    }
    set(&source, 0o640);
    set(&target, 0o664);
    assert_eq!(made(&place, OVERWRITE, None), 0o640);
    let metadata = fs::metadata(&target).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12_345, 23_456));
    // Where the owner cannot stay, the old group's rights are not the new one's.
    let fault = Fault::Each(&[(Step::SetOwner, Errno::PERM)]);
    let replace = || Output::create(&target, OVERWRITE, None).unwrap().commit().unwrap();
    let ((), _) = watched(fault, replace);
    assert_eq!((mode(&target), fs::metadata(&target).unwrap().gid() == 23_456), (0o600, false));
    // Who may give a file to the group only does that.
    chown(&target, Some(12_345), Some(23_456)).unwrap();
    set(&target, 0o664);
    let ((), steps) = watched(Fault::Nth(1, Errno::PERM), replace);
    assert_eq!(steps[1..3], [Step::SetOwner, Step::SetOwner]);
    let metadata = fs::metadata(&target).unwrap();
    assert_eq!((metadata.uid() == 12_345, metadata.gid()), (false, 23_456));
    assert_eq!(mode(&target), 0o664 & left(&place));
    // And those of the source's group not another's.
    fs::remove_file(&target).unwrap();
    chown(&source, None, Some(23_456)).unwrap();
    set(&source, 0o664);
    assert_eq!(made(&place, OVERWRITE, None), 0o644);
}

#[test]
#[cfg(any(feature = "kms", feature = "emulator"))]
fn secrets_are_this_users_alone_whoever_put_a_file_there() {
    let place = Place::new();
    let target = place.write("out", "old");
    set(&target, 0o666);
    let own = fs::metadata(&target).unwrap().uid();
    // Only a privileged user can be given another's file like this.
    let _ = chown(&target, Some(12_345), Some(23_456));
    crate::output::replace_secrets(&target, &[b"two ", b"parts"]).unwrap();
    assert_eq!(place.files()["out"], "two parts");
    assert_eq!((mode(&target), fs::metadata(&target).unwrap().uid()), (0o600, own));
}

#[test]
fn rights_that_the_source_loses_meanwhile_the_output_does_not_get() {
    for lacking in [None, Some(Step::CreateNameless), Some(Step::LinkNameless)] {
        let place = Place::new();
        let path = place.write("in", "data");
        set(&path, 0o644);
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let source = Source { file: &file, path: &path, metadata: &metadata };
        let fault: Vec<_> = lacking.into_iter().map(|step| (step, Errno::OPNOTSUPP)).collect();
        let create = || {
            let out = Output::create(&place.path("out"), Settings::default(), Some(source));
            let mut out = out.unwrap();
            set(&path, 0o600);
            out.narrow(&file.metadata().unwrap());
            out.commit().unwrap();
        };
        let ((), _) = watched(Fault::Each(&fault), create);
        assert_eq!(mode(&place.path("out")), 0o600 & left(&place));
    }
}

#[test]
fn rights_that_were_asked_for_and_cannot_be_had_are_an_error() {
    let place = Place::new();
    let settings = Settings { mode: Some(0o777), ..OVERWRITE };
    let (error, _) = watched(Fault::Each(&[(Step::SetMode, Errno::PERM)]), || {
        Output::create(&place.path("out"), settings, None).unwrap().commit().unwrap_err()
    });
    assert_eq!(error.kind(), crate::ErrorKind::Io, "{error}");
    assert!(place.files().is_empty());
}
