//! Where the name of an output or input leads.
//!
//! Some names stand for an open file: `/dev/stdout`, `/dev/fd/3`, what a shell passes for `>(…)`,
//! and links to them. These must not be replaced: another program has opened the file and waits for
//! the bytes, and root would replace `/dev/stdout` itself by a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// As many links as the system follows.
const MAX_LINKS: usize = 40;

/// The number of the open file that `path` stands for.
#[cfg(unix)]
pub(crate) fn descriptor(path: &Path) -> Option<u32> {
    let numbered = |(folder, name): (PathBuf, OsString)| {
        if folder == Path::new("/dev")
            && let Some(at) = ["stdin", "stdout", "stderr"].iter().position(|std| name == **std)
        {
            return u32::try_from(at).ok();
        }
        is_own(&folder).then(|| name.to_str()?.parse().ok())?
    };
    steps(path).find_map(numbered)
}

#[cfg(not(unix))]
pub(crate) fn descriptor(_: &Path) -> Option<u32> {
    None
}

/// Where the file that `path` names is or would be, with all links resolved: two names of one place
/// give the same result.
pub(crate) fn settled(path: &Path) -> PathBuf {
    steps(path).last().map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name))
}

/// `path`, and the target of each link: a folder (its name without links, if it exists) and a name
/// in it.
fn steps(path: &Path) -> impl Iterator<Item = (PathBuf, OsString)> {
    let split = |path: &Path| {
        let name = path.file_name()?.to_owned();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Some((std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()), name))
    };
    let follow = move |(folder, name): &(PathBuf, OsString)| {
        split(&folder.join(std::fs::read_link(folder.join(name)).ok()?))
    };
    std::iter::successors(split(path), follow).take(MAX_LINKS)
}

/// Whether this process' open files are in `folder`, which has no links in its name.
#[cfg(unix)]
fn is_own(folder: &Path) -> bool {
    let id = std::process::id().to_string();
    let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    match parts[..] {
        ["/", "dev", "fd"] | ["/", "proc", "self" | "thread-self", "fd"] => true,
        ["/", "proc", process, "fd"] | ["/", "proc", process, "task", _, "fd"] => process == id,
        _ => false,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_open_file_is_known_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
        let again = dir.path().join("again");
        std::os::unix::fs::symlink("link", &again).unwrap();
        let round = dir.path().join("round");
        std::os::unix::fs::symlink("round", &round).unwrap();
        let own = format!("/proc/{}/fd/7", std::process::id());
        for (path, number) in [
            (Path::new("/dev/stdin"), Some(0)),
            (Path::new("/dev//../dev/./stdout"), Some(1)),
            (Path::new("/dev/stderr"), Some(2)),
            (Path::new("/dev/fd/63"), Some(63)),
            (Path::new("/proc/self/fd/1"), Some(1)),
            (Path::new("/proc/thread-self/fd/1"), Some(1)),
            (Path::new(&own), Some(7)),
            (&link, Some(1)),
            (&again, Some(1)),
            (&round, None),
            (Path::new("/proc/1/fd/1"), None),
            (Path::new("/dev/null"), None),
            (Path::new("/dev/fd/x"), None),
            (Path::new("stdout"), None),
            (Path::new("/"), None),
            (Path::new(""), None),
        ] {
            assert_eq!(descriptor(path), number, "{path:?}");
        }
    }

    #[test]
    fn one_place_has_one_settled_name() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir(real.join("sub")).unwrap();
        std::os::unix::fs::symlink("sub", real.join("other")).unwrap();
        std::os::unix::fs::symlink("other/absent", real.join("dangling")).unwrap();
        let absent = real.join("sub/absent");
        for name in ["sub/absent", "other/absent", "dangling", "sub/../other/./absent"] {
            assert_eq!(settled(&real.join(name)), absent, "{name}");
        }
        assert_ne!(settled(&real.join("absent")), absent);
    }
}
