//! An allocator that looks at what it is given back.

use crate::{MASKED_KEK, MASKED_TEXT};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Nothing that is looked for lies on a stack in one piece, from where it would come into blocks
/// that are none of the crate's: it is known, and compared, masked.
const MASK: u64 = 0x5BD1_E995_9E37_79B9;

/// A word without its mask, or with it.
pub(crate) fn mask(word: u64) -> u64 {
    word ^ black_box(MASK)
}

/// Places for what is looked for, in two masked words each.
const PLACES: usize = 512;
static WANTED: [[AtomicU64; 2]; PLACES] = [const { [const { AtomicU64::new(0) }; 2] }; PLACES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// Freed blocks with plaintext or a key in them, and the length of the latest.
static FOUND: AtomicUsize = AtomicUsize::new(0);
static LATEST: AtomicUsize = AtomicUsize::new(0);
/// How many of them are known.
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// Looks for these two words from now on, which are given masked.
pub(crate) fn look_for(words: [u64; 2]) {
    let place = TAKEN.fetch_add(1, Relaxed);
    assert!(place < PLACES, "there is room for no more keys");
    for (to, from) in WANTED[place].iter().zip(words) {
        to.store(from, Relaxed);
    }
}

fn look_at(freed: &[u8]) {
    let taken = TAKEN.load(Relaxed).min(PLACES);
    for window in freed.windows(16) {
        let (first, second) = window.split_at(8);
        if first == [0; 8] {
            continue;
        }
        let word = |bytes: &[u8]| mask(bytes.try_into().map_or(0, u64::from_le_bytes));
        let (first, second) = (word(first), word(second));
        let is_it = |wanted: &[AtomicU64; 2]| {
            wanted[0].load(Relaxed) == first && wanted[1].load(Relaxed) == second
        };
        if WANTED[..taken].iter().any(is_it) {
            FOUND.fetch_add(1, Relaxed);
            LATEST.store(freed.len(), Relaxed);
            return;
        }
    }
}

struct Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

// What is not written out here (`realloc`) takes a new block, copies, and frees the old one.
#[allow(unsafe_code)]
// SAFETY: all blocks are the system allocator's, asked for and given back with the same layout.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is the one that the system wants. Zeroed,
        // so that whatever is freed has a value, and none of a former life.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a block of this layout, which nobody uses any more; all of
        // it was zeroed when it was handed out.
        look_at(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: the block came from the system with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// One at a time, so that it is known whose memory was found.
static TURN: Mutex<()> = Mutex::new(());

/// Has `work` leave nothing in what it frees. What another thread frees late is found by the next.
pub(crate) fn watch(what: &str, work: impl FnOnce()) {
    work();
    let (found, len) = (FOUND.load(Relaxed), LATEST.load(Relaxed));
    let found = found - PLANTED.load(Relaxed);
    PLANTED.fetch_add(found, Relaxed);
    assert_eq!(found, 0, "{what}: freed with plaintext or a key in it, the latest of {len} bytes");
}

/// Checks that `work` is found to leave something in a block.
pub(crate) fn planted(work: impl FnOnce()) {
    let before = FOUND.load(Relaxed);
    work();
    assert_eq!(FOUND.load(Relaxed), before + 1);
    PLANTED.fetch_add(1, Relaxed);
}

pub(crate) fn begin() -> impl Drop {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if TAKEN.load(Relaxed) == 0 {
        look_for(MASKED_TEXT);
        look_for([MASKED_KEK[0], MASKED_KEK[1]]);
    }
    turn
}
