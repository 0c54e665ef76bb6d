//! Storage of the state: in memory, or in a file that outlives the process.
//!
//! A change reads the file again under the lock, so that two processes that share a directory do
//! not overwrite each other's changes.

use crate::emulator::answer::Refusal;
use crate::emulator::keys::key::GeneratorState;
use crate::emulator::state::content::{Preset, State};
use crate::emulator::state::file;
use crate::emulator::state::view::View;
use crate::error::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

/// The state and its view.
pub(crate) struct Store {
    dir: Option<PathBuf>,
    state: Mutex<State>,
    /// The state that a reset restores; `None` for a state in a directory.
    first: Mutex<Option<State>>,
    view: RwLock<Arc<View>>,
    on_fault: Option<OnFault>,
}

/// Gets the reason why the state cannot be saved.
pub(crate) type OnFault = Arc<dyn Fn(&Error) + Send + Sync>;

impl Store {
    /// Opens the state in `dir`, and creates it from `preset` if there is none. Without `dir`, the
    /// state is in memory only.
    ///
    /// A caller gets no more than the service would answer, so the reason why a change cannot be
    /// saved goes to `on_fault`.
    pub(crate) fn open(
        dir: Option<PathBuf>,
        preset: &Preset,
        now: i64,
        on_fault: Option<OnFault>,
    ) -> Result<Self> {
        let state = match &dir {
            Some(dir) => file::open_or_create(dir, preset, now)?,
            None => State::new(preset, now).map_err(Error::from)?,
        };
        if !state.matches(preset) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the state directory has another account, API key or key tag than the settings: \
                 use another directory, or leave them out",
            ));
        }
        let view = View::of(&state).ok().filter(View::is_valid);
        let view = view.ok_or_else(|| file::damaged(&dir.clone().unwrap_or_default()))?;
        let view = RwLock::new(Arc::new(view));
        let first = Mutex::new(dir.is_none().then(|| state.clone()));
        Ok(Self { dir, state: Mutex::new(state), first, view, on_fault })
    }

    /// The view that requests use.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Restores a state in memory to what it was at the start. Returns false, and does nothing, for
    /// a state in a directory.
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

    /// Sets the signing key of the token generator `id` of the key `tag`. A generator that existed
    /// at the start keeps it after a reset, so that its tokens stay valid.
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

    /// Changes the state; the file is written when this returns. A failure changes nothing. Blocks
    /// while the file is written.
    ///
    /// Changes due by `now` are applied first.
    pub(crate) fn change<T, E: From<Error> + From<Refusal>>(
        &self,
        now: i64,
        change: impl FnOnce(&mut State) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |error: Error| {
            if let Some(on_fault) = &self.on_fault {
                on_fault(&error);
            }
            error
        };
        let lock = self.dir.as_deref().map(file::lock).transpose().map_err(told)?;
        let mut next = match &self.dir {
            Some(dir) => file::read(dir).and_then(|state| state.ok_or_else(|| file::gone(dir))),
            None => Ok(current.clone()),
        }
        .map_err(told)?;
        next.settle(now)?;
        let result = change(&mut next)?;
        let view = Arc::new(View::of(&next)?);
        if let Some(dir) = &self.dir {
            file::write(dir, &next).map_err(told)?;
        }
        drop(lock);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        *current = next;
        Ok(result)
    }
}
