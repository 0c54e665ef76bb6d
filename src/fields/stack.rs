//! Stacks that hold nothing of a key when a call returns.
//!
//! Keys are set up by value, in libraries too, and used by copies of their states. Each move leaves
//! a copy on the stack, where it stays until something else is written there. So such work is done
//! one frame deeper, and what is below is overwritten before anything else happens.
//!
//! **What the work returns has no unused bytes**: a word, or an array. The unused bytes of an enum
//! are moved as well, with whatever the stack had in them, and so get to the heap.

use std::hint::black_box;
use zeroize::Zeroize;

/// More than the derivation and the set-up of keys put on the stack.
const SET_UP_LEN: usize = 16 << 10;
/// More than one use of them puts there. Less than 2 KiB, from where on writing zeros begins more
/// slowly on many processors.
const USE_LEN: usize = 30 * 64;

/// At the beginning of a line of the cache, so that the time does not depend on who calls.
#[repr(align(64))]
struct Below([u8; USE_LEN]);

/// Sets keys up. What is returned is a word.
pub(super) fn set_up<T>(work: impl FnOnce() -> T) -> T {
    const { assert!(size_of::<T>() == size_of::<usize>()) };
    let result = deeper(work);
    wipe_set_up();
    result
}

/// Uses them.
#[inline]
pub(super) fn used<const N: usize>(work: impl FnOnce() -> [u8; N]) -> [u8; N] {
    let result = deeper(work);
    wipe_use();
    result
}

#[inline(never)]
fn deeper<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe_set_up() {
    let mut below = [0_u8; SET_UP_LEN];
    black_box(&mut below).zeroize();
}

/// Not `zeroize`, which takes several times as long: who looks at an array has it written.
#[inline(never)]
fn wipe_use() {
    black_box(&mut Below([0; USE_LEN]).0);
}
