//! Tokens in a file.
//!
//! Promises: a set is stored whole or not at all; the file is readable only by its owner, and a
//! file that strangers can read or change is refused; no token is in an error or a `Debug` output;
//! no call waits. This module knows nothing of when tokens are renewed.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret_file::{self, Readers};
use crate::kms::auth::store::{StoreLock, TokenStore};
use crate::kms::auth::token_set::TokenSet;
use crate::output;
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Longest file that is read, in bytes: two tokens of the longest kind, and then some.
const MAX_FILE_LEN: usize = 32_768;

/// A token store in a file: JSON with `accessToken` and `refreshToken`.
///
/// The file is replaced atomically, and is synced to disk before that. On Unix its mode is 0600. A
/// file that is read may be a mounted secret, as in Kubernetes: symbolic links are followed and its
/// group may read it. A file is refused if it belongs neither to this user nor to root, if others
/// can read it, or if its group can change it. On other systems the directory must protect it.
///
/// The lock is a lock file beside it, with `.lock` added to the name, which is not removed. The
/// system releases the lock when the process that holds it ends. In a directory that is not
/// writable there is no lock.
///
/// ```
/// use ncp_envelope::kms::{FileTokenStore, TokenSet, TokenStore};
/// let folder = tempfile::tempdir().map_err(std::io::Error::from)?;
/// let store = FileTokenStore::new(folder.path().join("tokens.json"));
/// store.store(&TokenSet::new("access-token", "refresh-token"))?;
/// assert!(store.load()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileTokenStore {
    path: PathBuf,
}

impl FileTokenStore {
    /// A store in the file at `path`, which need not exist. Its directory must exist.
    ///
    /// ```
    /// use ncp_envelope::kms::{FileTokenStore, TokenStore};
    /// let store = FileTokenStore::new("/no/such/folder/tokens.json");
    /// // Nothing is stored yet, which is no error.
    /// assert!(store.load()?.is_none());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    ///
    /// ```
    /// use ncp_envelope::kms::FileTokenStore;
    /// use std::path::Path;
    /// let store = FileTokenStore::new("tokens.json");
    /// assert_eq!(store.path(), Path::new("tokens.json"));
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file behind symbolic links: this is what is locked.
    fn target(&self) -> PathBuf {
        std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::io(format_args!("cannot {what} the token file {}", self.path.display()), error)
    }
}

impl TokenStore for FileTokenStore {
    /// # Errors
    /// [`ErrorKind::Credentials`] if strangers may read or change the file or it does not hold
    /// tokens, [`ErrorKind::Io`] if it cannot be read.
    fn load(&self) -> Result<Option<TokenSet>> {
        let file = secret_file::read(&self.path, "the token file", MAX_FILE_LEN, Readers::Group)?;
        let Some(bytes) = file else { return Ok(None) };
        let mut stored: Stored<'_> =
            serde_json::from_slice(&bytes).map_err(|_| self.malformed())?;
        let tokens = TokenSet::new(stored.access_token.as_ref(), stored.refresh_token.as_ref());
        for text in [&mut stored.access_token, &mut stored.refresh_token] {
            if let Cow::Owned(text) = text {
                text.zeroize();
            }
        }
        Ok(Some(tokens))
    }

    /// # Errors
    /// [`ErrorKind::Io`]; the file is then what it was before.
    fn store(&self, tokens: &TokenSet) -> Result<()> {
        let (access, refresh) =
            (tokens.access_token.expose_secret(), tokens.refresh_token.expose_secret());
        if ![access, refresh].iter().all(|token| {
            token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        }) {
            return Err(Error::new(
                ErrorKind::Credentials,
                "a token has characters that tokens do not have, and is not stored",
            ));
        }
        let text = Zeroizing::new(format!(
            "{{\"accessToken\":\"{access}\",\"refreshToken\":\"{refresh}\"}}\n"
        ));
        output::replace_secrets(&self.path, &[text.as_bytes()]).map_err(|error| {
            let what = format!("cannot write the token file {}: {error}", self.path.display());
            Error::with_source(ErrorKind::Io, what, error)
        })
    }

    /// # Errors
    /// [`ErrorKind::Io`] if there is no lock file and none can be made, or the file system has no
    /// locks.
    fn try_lock(&self) -> Result<Option<StoreLock>> {
        let mut name = OsString::from(self.target());
        name.push(".lock");
        let file =
            secret_file::open_lock(Path::new(&name)).map_err(|error| self.failed("lock", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StoreLock::new(Locked(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.failed("lock", error)),
        }
    }
}

/// A locked file. It is unlocked, not just closed: a child process that was forked meanwhile has it
/// too.
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl FileTokenStore {
    fn malformed(&self) -> Error {
        Error::new(ErrorKind::Credentials, format!("{} is not a token file", self.path.display()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    refresh_token: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tokens: &TokenSet) -> (&str, &str) {
        (tokens.access_token.expose_secret(), tokens.refresh_token.expose_secret())
    }

    #[test]
    fn a_file_holds_what_was_stored_last() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileTokenStore::new(directory.path().join("tokens.json"));
        assert!(store.load().unwrap().is_none());
        for (access, refresh) in [("CANARY.a-1", "CANARY.r_1"), ("CANARY.a-2", "CANARY.r_2")] {
            store.store(&TokenSet::new(access, refresh)).unwrap();
            assert_eq!(shown(&store.load().unwrap().unwrap()), (access, refresh));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        for odd in ["", "a b", "a\"b", "a\\b", "a\nb"] {
            let result = store.store(&TokenSet::new("CANARY", odd));
            assert_eq!(result.is_err(), !odd.is_empty());
        }
        assert!(!format!("{store:?} {:?}", store.load()).contains("CANARY"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let store = FileTokenStore::new(&path);
        store.store(&TokenSet::new("a", "r")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o644, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        // As a secret of Kubernetes is mounted for a group.
        for mode in [0o440, 0o640] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(store.load().is_ok());
        }
        // Storing puts the rights right.
        store.store(&TokenSet::new("a", "r")).unwrap();
        assert!(store.load().is_ok());
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        FileTokenStore::new(&link).store(&TokenSet::new("b", "r")).unwrap();
        assert_eq!(shown(&store.load().unwrap().unwrap()).0, "b");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_lock_is_of_the_file_and_ends_with_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileTokenStore::new(directory.path().join("tokens.json"));
        store.store(&TokenSet::new("a", "r")).unwrap();
        let lock = store.try_lock().unwrap().unwrap();
        #[cfg(unix)]
        {
            let link = directory.path().join("link");
            std::os::unix::fs::symlink(store.path(), &link).unwrap();
            assert!(FileTokenStore::new(link).try_lock().unwrap().is_none());
        }
        // A new file in place of the old one is the same store.
        store.store(&TokenSet::new("b", "r")).unwrap();
        assert!(store.try_lock().unwrap().is_none());
        drop(lock);
        assert!(store.try_lock().unwrap().is_some());
        let nowhere = FileTokenStore::new(directory.path().join("no/such/tokens.json"));
        assert_eq!(nowhere.try_lock().unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn what_is_not_a_token_file_is_refused_without_repeating_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileTokenStore::new(directory.path().join("tokens.json"));
        store.store(&TokenSet::new("a", "r")).unwrap();
        let long = format!("{{\"accessToken\":\"{}\"", "x".repeat(40_000));
        for text in ["", "CANARY", "{\"accessToken\":\"CANARY\"}", "[]", &long] {
            std::fs::write(store.path(), text).unwrap();
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(!format!("{error:?}").contains("CANARY"));
        }
        let nowhere = FileTokenStore::new(directory.path().join("no/such/tokens.json"));
        assert_eq!(nowhere.store(&TokenSet::new("a", "r")).unwrap_err().kind(), ErrorKind::Io);
        assert!(nowhere.load().unwrap().is_none());
    }
}
