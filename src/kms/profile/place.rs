//! Where the configuration file is, and which profile the environment names.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::environment::{CONFIG, PROFILE, named, set, text};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file, and whether a variable names it: then it must exist.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) named: bool,
}

pub(super) fn file(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Found> {
    let set = |name: &str| set(&lookup, name).map(PathBuf::from);
    if let Some(path) = set(CONFIG) {
        let failed = |error| Error::io(format_args!("cannot find {}", path.display()), error);
        return Ok(Found { path: std::path::absolute(&path).map_err(failed)?, named: true });
    }
    let directory = match cfg!(windows) {
        true => set("APPDATA"),
        // A relative path in this variable is invalid, as its specification says.
        false => set("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".config"))),
    };
    let directory = directory.ok_or_else(|| {
        let variable = if cfg!(windows) { "APPDATA" } else { "HOME" };
        let message = format!("cannot find your configuration: set {variable} or {CONFIG}");
        Error::new(ErrorKind::InvalidInput, message)
    })?;
    Ok(Found { path: directory.join("ncp-envelope").join("config.toml"), named: false })
}

/// The home directory, for paths that begin with `~/`.
pub(super) fn home() -> Option<PathBuf> {
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    set(|name| std::env::var_os(name), home).map(PathBuf::from)
}

/// The profile's name in the environment.
pub(super) fn name(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>> {
    text(lookup, PROFILE)
}

/// A file that must be there, and is not.
pub(super) fn absent(found: &Found) -> Error {
    let by = if found.named { format!("{CONFIG}: ") } else { String::new() };
    let path = found.path.display();
    let message = format!("{by}{path} does not exist: write it with ncp-envelope config init");
    Error::new(ErrorKind::InvalidInput, message)
}

pub(super) fn named_by_environment(error: &Error) -> Error {
    named(PROFILE, error)
}

/// `text` as a path, in the directory of `file` if it is relative.
pub(super) fn path(text: &str, file: &Path) -> std::result::Result<PathBuf, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if let Some(rest) = text.strip_prefix("~/") {
        return home().map(|home| home.join(rest)).ok_or("begins with ~/, but HOME is not set");
    }
    match text.starts_with('~') {
        true => Err("begins with ~: write ~/ for your home directory, or the whole path"),
        false => Ok(file.parent().unwrap_or(Path::new("")).join(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_file_is_where_it_is_looked_for() {
        let home = ("HOME", "/home/me");
        for (variables, expected) in [
            (&[home][..], "/home/me/.config/ncp-envelope/config.toml false"),
            (&[home, ("XDG_CONFIG_HOME", "/x")], "/x/ncp-envelope/config.toml false"),
            (&[home, ("XDG_CONFIG_HOME", "")], "/home/me/.config/ncp-envelope/config.toml false"),
            (&[home, ("XDG_CONFIG_HOME", "x")], "/home/me/.config/ncp-envelope/config.toml false"),
            (&[home, ("XDG_CONFIG_HOME", "/x"), (CONFIG, "/c.toml")], "/c.toml true"),
            (&[], "cannot find your configuration: set HOME or NCP_ENVELOPE_CONFIG"),
        ] {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            };
            let found = match file(find) {
                Ok(found) => format!("{} {}", found.path.display(), found.named),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file_or_to_home() {
        let file = Path::new("/etc/ncp/config.toml");
        assert_eq!(path("ca.pem", file).unwrap(), Path::new("/etc/ncp/ca.pem"));
        #[cfg(unix)]
        assert_eq!(path("/ca.pem", file).unwrap(), Path::new("/ca.pem"));
        assert!(path("~someone/ca.pem", file).unwrap_err().contains("write ~/"));
        assert!(path("", file).is_err());
    }
}
