//! Headers that were read lately, so that the next range of an object costs one request.
//!
//! A header is remembered with the ETag of its object, and used only together with it: a request
//! that relies on a header asks for the object of that ETag. Nothing is remembered of a store that
//! gives none. There is no key here, so nothing that has to be forgotten when a key is.

use ncp_envelope::format::{Header, PREAMBLE_LEN};
use object_store::path::Path;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Of a few KiB each.
const MOST: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// What is needed to read any range of an object.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) header: Header,
    pub(crate) preamble: [u8; PREAMBLE_LEN],
    pub(crate) e_tag: Option<String>,
    /// Of the object, not of the plaintext.
    pub(crate) size: u64,
}

pub(crate) struct Headers(Mutex<lru::LruCache<Path, Arc<Known>>>);

impl Headers {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(lru::LruCache::new(MOST)))
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Arc<Known>> {
        self.lock().get(path).cloned()
    }

    pub(crate) fn put(&self, path: &Path, known: &Arc<Known>) {
        if known.e_tag.is_some() {
            self.lock().put(path.clone(), known.clone());
        }
    }

    pub(crate) fn forget(&self, path: &Path) {
        self.lock().pop(path);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, lru::LruCache<Path, Arc<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("len", &self.lock().len()).finish()
    }
}
