//! Where the state is kept: in memory, or in a file that outlives the process.
//!
//! The file is replaced as a whole, so a reader sees the old or the new state and never half of
//! one, and needs no lock. Who creates or changes it holds a lock file meanwhile, and reads the
//! file again under the lock, so that two processes that share a directory do not undo each other's
//! changes.

use crate::emulator::answer::Refusal;
use crate::emulator::keys::key::GeneratorState;
use crate::emulator::state::content::{FILE_FORMAT, FILE_VERSION, State, Wishes};
use crate::emulator::state::view::View;
use crate::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

/// A larger file is not one of ours: thousands of keys with hundreds of versions fit.
const MAX_FILE: u64 = 64 << 20;

/// The state and its view.
pub(crate) struct Store {
    dir: Option<PathBuf>,
    state: Mutex<State>,
    /// What a state that is kept nowhere goes back to.
    first: Mutex<Option<State>>,
    view: RwLock<Arc<View>>,
}

impl Store {
    /// Opens the state in `dir`, and makes it as `wishes` say if there is none; without `dir`, the
    /// state is not kept.
    pub(crate) fn open(dir: Option<PathBuf>, wishes: &Wishes, now: i64) -> Result<Self> {
        let state = match &dir {
            Some(dir) => open_or_create(dir, wishes, now)?,
            None => State::new(wishes, now).map_err(Error::from)?,
        };
        if !state.fulfils(wishes) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the state directory holds another account or key tag than the one asked for",
            ));
        }
        let view = View::of(&state).ok().filter(View::is_valid);
        let view = view.ok_or_else(|| damaged(&dir.as_deref().map(path).unwrap_or_default()))?;
        let view = RwLock::new(Arc::new(view));
        let first = Mutex::new(dir.is_none().then(|| state.clone()));
        Ok(Self { dir, state: Mutex::new(state), first, view })
    }

    /// What requests look at.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state, for the accessors.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a state that is in memory only back to what it was at the start, and says whether it is
    /// one; what is in a directory stays.
    pub(crate) fn reset(&self) -> Result<bool> {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(false);
        };
        let view = Arc::new(View::of(&first)?);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        *current = first;
        Ok(true)
    }

    /// Gives the token generator `id` of the key `tag` its signing key. One that was there from the
    /// start keeps it when the state is put back, so that its tokens stay good.
    pub(crate) fn set_signing_key(
        &self,
        now: i64,
        tag: &str,
        id: &str,
        pkcs8: Zeroizing<Vec<u8>>,
    ) -> Result<()> {
        let set = self.change(now, |state| -> Result<_> {
            let key = state.key(tag)?;
            key.set_signing_key(id, pkcs8);
            Ok(key.token_generator.clone())
        })?;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = first.iter_mut().flat_map(|first| &mut first.keys);
        let same =
            |generator: &GeneratorState| Some(&generator.id) == set.as_ref().map(|set| &set.id);
        for key in keys.filter(|key| key.token_generator.as_ref().is_some_and(same)) {
            key.token_generator.clone_from(&set);
        }
        Ok(())
    }

    /// Changes the state; it is in the file when this returns. A failure changes nothing. Blocks
    /// while the file is written.
    ///
    /// What time has brought about by `now` is done first.
    pub(crate) fn change<T, E: From<Error> + From<Refusal>>(
        &self,
        now: i64,
        change: impl FnOnce(&mut State) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = self.dir.as_deref().map(lock).transpose()?;
        let mut next = match &self.dir {
            Some(dir) => read(&path(dir))?
                .ok_or_else(|| Error::new(ErrorKind::Io, "the emulator's state file is gone"))?,
            None => current.clone(),
        };
        next.settle(now)?;
        let result = change(&mut next)?;
        let view = Arc::new(View::of(&next)?);
        if let Some(dir) = &self.dir {
            write(dir, &next)?;
        }
        drop(lock);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        *current = next;
        Ok(result)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

fn open_or_create(dir: &Path, wishes: &Wishes, now: i64) -> Result<State> {
    create_dir(dir).map_err(|error| failed("cannot create the state directory", dir, error))?;
    let path = path(dir);
    if let Some(state) = read(&path)? {
        return Ok(state);
    }
    let _lock = lock(dir)?;
    if let Some(state) = read(&path)? {
        return Ok(state);
    }
    let state = State::new(wishes, now)?;
    write(dir, &state)?;
    Ok(state)
}

fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Waits for the lock of the directory; dropping the file gives it back. The lock file stays, for
/// to remove it would race.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("state.lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| failed("cannot lock the state", &path, error))
}

fn read(path: &Path) -> Result<Option<State>> {
    let mut text = Zeroizing::new(Vec::new());
    match File::open(path) {
        Ok(file) => {
            // Room for the whole file at once: a buffer that grows leaves copies behind.
            let len = file.metadata().map_or(0, |metadata| metadata.len().min(MAX_FILE));
            text.reserve_exact(usize::try_from(len).unwrap_or(0).saturating_add(1));
            file.take(MAX_FILE)
                .read_to_end(&mut text)
                .map_err(|error| failed("cannot read the state", path, error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot open the state", path, error)),
    }

    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = serde_json::from_slice(&text).map_err(|_| damaged(path))?;
    if head.format != FILE_FORMAT {
        return Err(damaged(path));
    }
    if head.version != FILE_VERSION {
        let message = format!(
            "state file {} is of version {}; this release reads version {FILE_VERSION}",
            path.display(),
            head.version
        );
        return Err(Error::new(ErrorKind::UnsupportedVersion, message));
    }
    // The parser's own errors may quote what they read, so they go no further.
    let state: State = serde_json::from_slice(&text).map_err(|_| damaged(path))?;
    state.check().map_err(|_| damaged(path))?;
    Ok(Some(state))
}

fn damaged(path: &Path) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("state file {} is damaged; move it away to start anew", path.display()),
    )
}

fn write(dir: &Path, state: &State) -> Result<()> {
    let path = path(dir);
    let text = Zeroizing::new(
        serde_json::to_vec_pretty(state)
            .map_err(|_| Error::new(ErrorKind::Internal, "cannot write the state as JSON"))?,
    );
    replace(dir, &path, &text).map_err(|error| failed("cannot write the state", &path, error))
}

fn replace(dir: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    // Temporary files are made with mode 0600 where there are modes.
    let mut file = tempfile::Builder::new().prefix(".state-").tempfile_in(dir)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    Ok(())
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("{what} {}: {error}", path.display()), error)
}
