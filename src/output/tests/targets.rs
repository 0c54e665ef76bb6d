//! Where an output goes.

use super::watch::{Fault, watched};
use super::{OVERWRITE, Place, files, output};
use crate::ErrorKind;
use crate::output::file::Output;
use crate::output::settings::Settings;
use crate::output::system::Step;
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[test]
fn names_may_be_as_long_as_the_file_system_has_them() {
    let named: &[_] = &[(Step::CreateNameless, Errno::OPNOTSUPP)];
    for name in ["n".repeat(239), "n".repeat(255), "\u{ac00}".repeat(85)] {
        for fault in [Fault::Nothing, Fault::Each(named)] {
            for settings in [Settings::default(), OVERWRITE] {
                let place = Place::new();
                let target = place.path(&name);
                let (done, _) = watched(fault, || output(&target, settings, "new")?.commit());
                done.unwrap();
                assert_eq!(place.files(), files(&[(&name, "new")]));
            }
        }
    }
}

#[test]
fn the_file_behind_links_is_meant_also_where_there_is_none_yet() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    symlink("d/second", place.path("first")).unwrap();
    symlink("../there", place.path("d/second")).unwrap();
    let error = output(&place.path("first"), Settings::default(), "new").err().unwrap();
    assert!(error.to_string().contains("exists"), "{error}");
    for content in ["one", "two"] {
        output(&place.path("first"), OVERWRITE, content).unwrap().commit().unwrap();
        assert_eq!(fs::read_to_string(place.path("there")).unwrap(), content);
    }
    for overwrite in [false, true] {
        let settings = Settings { overwrite, refuse_links: true, ..Settings::default() };
        let error = output(&place.path("first"), settings, "new").err().unwrap();
        assert!(error.to_string().contains("first is a symbolic link"), "{error}");
    }
    assert!(fs::symlink_metadata(place.path("first")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(place.path("d/second")).unwrap().is_symlink());
    symlink("round", place.path("round")).unwrap();
    let error = output(&place.path("round"), OVERWRITE, "new").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    symlink("no/such/directory", place.path("nowhere")).unwrap();
    let error = output(&place.path("nowhere"), OVERWRITE, "new").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

#[test]
fn what_does_not_name_a_file_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    for (name, text) in [
        ("", "is a directory"),
        ("d", "is a directory"),
        ("d/", "does not name a file"),
        ("new/", "does not name a file"),
        ("d/..", "does not name a file"),
        ("d/new/.", "does not name a file"),
    ] {
        let path = if name.is_empty() { place.path("d/../d") } else { place.path(name) };
        let error = Output::create(&path, OVERWRITE, None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    for path in ["", "/", ".."] {
        let error = Output::create(Path::new(path), OVERWRITE, None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}: {error}");
    }
    assert_eq!(place.files().len(), 1);
    // What cannot be looked at is not taken for what is not there.
    let file = place.write("f", "");
    let error = Output::create(&file.join("new"), OVERWRITE, None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().starts_with("cannot look at"), "{error}");
}
