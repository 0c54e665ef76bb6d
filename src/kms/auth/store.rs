//! Where a client puts the tokens it was issued, so that the next run of the program has them.
//!
//! Promises: what is stored is whole or was never there; a file is readable by its owner only, and
//! one that others can read is refused; no token is in an error or a `Debug` output. This module
//! knows nothing of when tokens are renewed.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::token_set::TokenSet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::{Zeroize, Zeroizing};

/// Longest file that is read, in bytes: two tokens of the longest kind, and then some.
const MAX_FILE_LEN: u64 = 32_768;

/// Keeps the tokens of one key between runs of a program.
///
/// A client with a store starts with what is stored, if that was issued after what it was given,
/// and stores every set that it is issued later. Only one refresh is under way at a time, so calls
/// of one client do not overlap. They may block: a client makes them away from its tasks, except
/// for the [`load`](Self::load) while it is built.
///
/// ```
/// use ncp_envelope::kms::{MemoryTokenStore, TokenSet, TokenStore};
/// let store = MemoryTokenStore::default();
/// assert!(store.load()?.is_none());
/// store.store(&TokenSet::new("access", "refresh"))?;
/// assert!(store.load()?.is_some());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// What was stored last; `None` if nothing was.
    ///
    /// # Errors
    /// Those of the store. A client cannot be built then.
    fn load(&self) -> Result<Option<TokenSet>>;

    /// Stores a set in place of the one before.
    ///
    /// # Errors
    /// Those of the store. The client goes on with the new tokens and counts the failure in
    /// [`Stats`](crate::kms::Stats::failed_stores).
    fn store(&self, tokens: &TokenSet) -> Result<()>;
}

impl<T: TokenStore + ?Sized> TokenStore for Arc<T> {
    fn load(&self) -> Result<Option<TokenSet>> {
        (**self).load()
    }

    fn store(&self, tokens: &TokenSet) -> Result<()> {
        (**self).store(tokens)
    }
}

impl TokenSet {
    /// A set of an access token and its refresh token. They are checked when a client uses them.
    pub fn new(
        access_token: impl Into<SecretString>,
        refresh_token: impl Into<SecretString>,
    ) -> Self {
        Self { access_token: access_token.into(), refresh_token: refresh_token.into() }
    }
}

/// A store in memory, for tests and for programs that hand tokens on themselves. Clones share their
/// contents.
#[derive(Debug, Clone, Default)]
pub struct MemoryTokenStore(Arc<Mutex<Option<TokenSet>>>);

impl TokenStore for MemoryTokenStore {
    fn load(&self) -> Result<Option<TokenSet>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn store(&self, tokens: &TokenSet) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokens.clone());
        Ok(())
    }
}

/// A store in a file of its own: JSON with `accessToken` and `refreshToken`.
///
/// A new file takes the place of the old one in one step and is on the disk before it does. On Unix
/// its mode is 0600, and a file that its group or others have any right to is refused; elsewhere
/// the directory has to protect it.
#[derive(Debug, Clone)]
pub struct FileTokenStore {
    path: PathBuf,
}

impl FileTokenStore {
    /// A store in the file at `path`, which need not exist. Its directory has to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::io(format_args!("cannot {what} the token file {}", self.path.display()), error)
    }
}

impl TokenStore for FileTokenStore {
    /// # Errors
    /// [`ErrorKind::Credentials`] if others may read or write the file, [`ErrorKind::Malformed`] if
    /// it does not hold tokens, [`ErrorKind::Io`] if it cannot be read.
    fn load(&self) -> Result<Option<TokenSet>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("open", error)),
        };
        let metadata = file.metadata().map_err(|error| self.failed("look at", error))?;
        self.check_rights(&metadata)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_LEN {
            return Err(self.malformed());
        }
        // Room for all of it, because a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN as usize + 1));
        (&mut file)
            .take(MAX_FILE_LEN)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed("read", error))?;
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
        // Through a link the file behind it is replaced.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let write = || {
            // Created with mode 0600, whatever the umask is.
            let mut file = tempfile::Builder::new()
                .prefix(".tokens.")
                .suffix(".tmp")
                .tempfile_in(directory)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            // The name itself is durable only once its directory is.
            #[cfg(unix)]
            File::open(directory)?.sync_all()?;
            Ok(())
        };
        write().map_err(|error| self.failed("write", error))
    }
}

impl FileTokenStore {
    fn malformed(&self) -> Error {
        Error::new(ErrorKind::Malformed, format!("{} is not a token file", self.path.display()))
    }

    #[cfg(unix)]
    fn check_rights(&self, metadata: &std::fs::Metadata) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = self.path.display();
            let message = format!(
                "the token file {path} is open to others (mode {mode:03o}): chmod 600 it, and \
                 replace its tokens"
            );
            return Err(Error::new(ErrorKind::Credentials, message));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_rights(&self, _: &std::fs::Metadata) -> Result<()> {
        Ok(())
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
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(error.to_string().contains("chmod 600"), "{error}");
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
    fn what_is_not_a_token_file_is_refused_without_repeating_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileTokenStore::new(directory.path().join("tokens.json"));
        store.store(&TokenSet::new("a", "r")).unwrap();
        let long = format!("{{\"accessToken\":\"{}\"", "x".repeat(40_000));
        for text in ["", "CANARY", "{\"accessToken\":\"CANARY\"}", "[]", &long] {
            std::fs::write(store.path(), text).unwrap();
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(!format!("{error:?}").contains("CANARY"));
        }
        let nowhere = FileTokenStore::new(directory.path().join("no/such/tokens.json"));
        assert_eq!(nowhere.store(&TokenSet::new("a", "r")).unwrap_err().kind(), ErrorKind::Io);
        assert!(nowhere.load().unwrap().is_none());
    }
}
