//! What an output of a call on files is like: where it goes, who may read it, how much space it
//! takes.

use crate::common::{block_on, envelope, names, sample};
use ncp_envelope::io::{AtomicFile, FileOptions, SourceFile};
use ncp_envelope::{DecryptPolicy, EncryptOptions, ErrorKind};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn encrypt(&self, from: &str, to: &str, options: &FileOptions) {
        let (from, to) = (self.path(from), self.path(to));
        block_on(envelope().encrypt_file_with(from, to, EncryptOptions::new(), options)).unwrap();
    }

    fn decrypt(&self, from: &str, to: &str, options: &FileOptions) {
        let (from, to) = (self.path(from), self.path(to));
        block_on(envelope().decrypt_file_with(from, to, &DecryptPolicy::new(), options)).unwrap();
    }

    /// How many bytes of the disk it takes.
    fn space(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap().blocks() * 512
    }

    fn same(&self, one: &str, other: &str) -> bool {
        fs::read(self.path(one)).unwrap() == fs::read(self.path(other)).unwrap()
    }
}

#[test]
fn a_file_comes_back_with_the_rights_it_had() {
    for mode in [0o600, 0o400, 0o640, 0o644, 0o700, 0o755] {
        // In order and in runs.
        for len in [100, 3 << 20] {
            let place = Place::new();
            fs::write(place.path("in"), sample(len)).unwrap();
            place.set_mode("in", mode);
            place.encrypt("in", "sealed", &FileOptions::new());
            place.decrypt("sealed", "out", &FileOptions::new());
            assert_eq!((place.mode("sealed"), place.mode("out")), (mode, mode), "{mode:o}");
        }
    }
}

#[test]
fn what_is_replaced_keeps_narrower_rights_and_options_say_others() {
    let place = Place::new();
    fs::write(place.path("in"), b"data").unwrap();
    place.set_mode("in", 0o644);
    let force = FileOptions::new().overwrite(true);
    fs::write(place.path("out"), b"old").unwrap();
    place.set_mode("out", 0o600);
    place.encrypt("in", "out", &force);
    assert_eq!(place.mode("out"), 0o600);
    place.encrypt("in", "out", &force.clone().mode(0o666));
    assert_eq!(place.mode("out"), 0o666);
    place.encrypt("in", "out", &force.clone().max_mode(0o640).max_mode(0o604));
    assert_eq!(place.mode("out"), 0o600);
}

#[test]
fn what_is_decrypted_from_a_pipe_is_the_owners_alone() {
    let place = Place::new();
    fs::write(place.path("in"), b"data").unwrap();
    place.encrypt("in", "sealed", &FileOptions::new());
    let fifo = place.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let feed = |content: Vec<u8>| {
        let fifo = fifo.clone();
        std::thread::spawn(move || fs::write(fifo, content).unwrap())
    };
    let fed = feed(fs::read(place.path("sealed")).unwrap());
    place.decrypt("fifo", "out", &FileOptions::new());
    fed.join().unwrap();
    assert_eq!(place.mode("out"), 0o600);
    let fed = feed(b"data".to_vec());
    place.encrypt("fifo", "again", &FileOptions::new());
    fed.join().unwrap();
    assert_eq!(place.mode("again"), place.mode("in"), "as any new file");
}

#[test]
fn holes_come_back_as_holes() {
    let place = Place::new();
    let source = fs::File::create(place.path("in")).unwrap();
    source.set_len(64 << 20).unwrap();
    source.write_all_at(&sample(100_000), 20 << 20).unwrap();
    source.write_all_at(b"end", (50 << 20) - 3).unwrap();
    drop(source);
    if place.space("in") > 1 << 20 {
        return; // This file system has no holes.
    }
    place.encrypt("in", "sealed", &FileOptions::new().sync(false));
    for threads in [1, 2] {
        let options = FileOptions::new().overwrite(true).sync(false).threads(threads);
        place.decrypt("sealed", "out", &options);
        assert!(place.same("in", "out"));
        assert!(place.space("out") <= 1 << 20, "{}", place.space("out"));
        place.decrypt("sealed", "out", &options.sparse(false));
        assert!(place.same("in", "out"));
        assert!(place.space("out") >= 64 << 20, "{}", place.space("out"));
    }
    // Through a stream as well.
    let sealed = SourceFile::open(place.path("sealed")).unwrap();
    let options = FileOptions::new().sync(false);
    let sink = AtomicFile::create_from(place.path("streamed"), &options, &sealed).unwrap();
    let report = block_on(envelope().decrypt_stream(sealed, sink, &DecryptPolicy::new())).unwrap();
    report.sink.commit().unwrap();
    assert!(place.same("in", "streamed"));
    assert!(place.space("streamed") <= 1 << 20, "{}", place.space("streamed"));
}

#[test]
fn a_file_of_holes_that_claims_to_be_a_message_takes_no_space() {
    let place = Place::new();
    fs::write(place.path("in"), sample(4_096)).unwrap();
    place.encrypt("in", "claims", &FileOptions::new());
    let claims = fs::OpenOptions::new().write(true).open(place.path("claims")).unwrap();
    // More than there is room for anywhere, where files can be so long.
    if claims.set_len(1 << 43).is_err() {
        claims.set_len(1 << 38).unwrap();
    }
    let (from, to) = (place.path("claims"), place.path("out"));
    let (policy, options) = (DecryptPolicy::new(), FileOptions::new());
    let error = block_on(envelope().decrypt_file_with(from, to, &policy, &options)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert_eq!(names(place.0.path()), ["claims", "in"]);
}

#[test]
fn links_that_lead_nowhere_yet_and_long_names_are_written_to() {
    let place = Place::new();
    fs::write(place.path("in"), b"data").unwrap();
    symlink("target", place.path("link")).unwrap();
    place.encrypt("in", "link", &FileOptions::new().overwrite(true));
    assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
    let long = "\u{ac00}".repeat(85);
    place.decrypt("target", &long, &FileOptions::new());
    assert_eq!(fs::read(place.path(&long)).unwrap(), b"data");
    assert_eq!(names(place.0.path()).len(), 4);
}

#[test]
fn where_no_file_can_be_made_only_what_was_named_is_spoken_of() {
    let place = Place::new();
    let error = AtomicFile::create(place.path("no/file"), &FileOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().contains("no/file") && !error.to_string().contains(".ncp-"),
        "{error}"
    );
}

#[test]
fn files_that_belong_together_are_committed_together() {
    let place = Place::new();
    fs::write(place.path("b"), b"old").unwrap();
    let file = |path: &Path, options: &FileOptions| {
        let mut file = AtomicFile::create(path, options).unwrap();
        file.write_all(b"new").unwrap();
        file
    };
    let (a, b) = (place.path("a"), place.path("b"));
    let (new, force) = (FileOptions::new(), FileOptions::new().overwrite(true));
    let both = [file(&b, &force), file(&a, &new)];
    // Somebody else takes the second name meanwhile.
    fs::write(&a, b"another's").unwrap();
    let error = AtomicFile::commit_all(both).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(fs::read(&a).unwrap(), b"another's");
    assert_eq!(fs::read(&b).unwrap(), b"old");
    AtomicFile::commit_all([file(&a, &force), file(&b, &force)]).unwrap();
    assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"new".into(), b"new".into()));
    assert_eq!(names(place.0.path()), ["a", "b"]);
}
