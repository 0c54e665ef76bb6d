//! Stacks that hold nothing of a key when a call returns.
//!
//! Keys are set up by value, in libraries too, and used by copies of their states. Each move leaves
//! a copy on the stack, where it stays until something else is written there. So such work is done
//! some frames deeper, and what is below is overwritten before anything else happens.
//!
//! **What the work returns has no unused bytes**: a word, or an array. The unused bytes of an enum
//! are moved as well, with whatever the stack had in them, and so get to the heap.

use std::hint::black_box;
use zeroize::Zeroize;

/// More than setting up keys puts on the stack.
pub(crate) const DEEP: usize = 16 << 10;

/// At the beginning of a line of the cache, so that the time does not depend on who calls.
#[repr(align(64))]
struct Below<const LEN: usize>([u8; LEN]);

/// What `work` gives, after which the `LEN` bytes below are zeros: more than it puts there.
#[inline]
pub(crate) fn wiped<const LEN: usize, T>(work: impl FnOnce() -> T) -> T {
    let result = deeper(work);
    wipe::<LEN>();
    result
}

/// The frame that wipes is not all zeros: it has saved registers and the room before a line of the
/// cache. The work begins behind as much.
#[inline(never)]
fn deeper<T>(work: impl FnOnce() -> T) -> T {
    black_box(&mut Below([0; 256]));
    deepest(work)
}

#[inline(never)]
fn deepest<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Not by `zeroize`, which takes several times as long: who looks at an array has it written.
#[inline(never)]
fn wipe<const LEN: usize>() {
    black_box(&mut Below([0; LEN]));
}

/// Secret bytes on the stack, wiped when dropped. As one slice: `Zeroizing` wipes an array byte by
/// byte, which for the few hundred bytes of a derivation is a tenth of what a small message costs.
pub(crate) struct Scratch<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Drop for Scratch<N> {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}
