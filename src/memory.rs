//! Memory advice to the system: huge pages for large outputs, and a word that is zeroed by forks.
//! Memory that the system gives as it is written to, and memory that is wiped for a library that
//! wipes none. The only module with `unsafe` code.
//!
//! The system maps new memory at its first write, 4 KiB at a time, and for a message of many MiB
//! that takes longer than the encryption. Huge pages need a 512th of the page faults, on systems
//! that leave the choice to the program (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`, the usual setting).

use std::alloc::{Layout, alloc_zeroed};
use std::collections::TryReserveError;
#[cfg(feature = "ring")]
use std::mem::MaybeUninit;
#[cfg(feature = "ring")]
use std::ops::Deref;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicU64;
#[cfg(feature = "ring")]
use zeroize::Zeroize;

/// A smaller buffer may not contain a whole huge page.
#[cfg(target_os = "linux")]
const WORTH_ADVISING: usize = 2 * HUGE_PAGE;
/// That of x86-64, and of AArch64 with pages of 4 KiB. With another size the advice holds for as
/// much as fits, or is refused.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

/// Reserves memory so that `out` can grow to `len` bytes without moving. Its content stays.
pub(crate) fn reserve(out: &mut Vec<u8>, len: usize) -> Result<(), TryReserveError> {
    let before = out.capacity();
    out.try_reserve_exact(len.saturating_sub(out.len()))?;
    #[cfg(target_os = "linux")]
    if out.capacity() != before && out.capacity() >= WORTH_ADVISING {
        advise_huge_pages(out);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = before;
    Ok(())
}

/// So many zeros in memory of their own, which the system maps when it is first written to, or None
/// if there is not as much.
#[allow(unsafe_code)]
pub(crate) fn zeros(len: usize) -> Option<Vec<u8>> {
    let layout = Layout::array::<u8>(len).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the size is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return None;
    }
    // SAFETY: the global allocator gave this memory for an array of `len` bytes, all of them are
    // initialised, and nobody else has the pointer.
    let mut zeros = unsafe { Vec::from_raw_parts(start, len, len) };
    #[cfg(target_os = "linux")]
    if len >= WORTH_ADVISING {
        advise_huge_pages(&mut zeros);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = &mut zeros;
    Some(zeros)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn advise_huge_pages(out: &mut Vec<u8>) {
    use rustix::mm::{Advice, madvise};
    let capacity = out.capacity();
    let start = out.as_mut_ptr();
    // Whole huge pages only: their neighbours may hold memory of others, and the call refuses what
    // starts inside of a page.
    let skipped = start.align_offset(HUGE_PAGE);
    let len = capacity.saturating_sub(skipped) / HUGE_PAGE * HUGE_PAGE;
    if len == 0 {
        return;
    }
    // SAFETY: `skipped + len <= capacity`, so the range lies in the one allocation of `out`, which
    // is borrowed for writing. The advice changes neither content nor access; it tells which size
    // of page to use for what is written from now on. It ends with the mapping, or stays on memory
    // that the allocator keeps, where it means the same for the next user.
    let _ = unsafe { madvise(start.add(skipped).cast(), len, Advice::LinuxHugepage) };
}

/// A word that is zero at first, and zero again in every forked child. None if the system has no
/// such memory, as Linux before 4.14. Each call maps a page for the life of the process.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn forgotten_by_forks() -> Option<&'static AtomicU64> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
    /// Made a whole page by the system, whatever its size.
    const LEN: usize = size_of::<AtomicU64>();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: without an address of ours the system takes one where nothing is mapped.
    let word = unsafe { mmap_anonymous(std::ptr::null_mut(), LEN, access, MapFlags::PRIVATE) };
    let word = word.ok()?;
    // SAFETY: the page was mapped just now, and nobody else knows of it. Zeros are a value of all
    // that will be in it.
    unsafe { madvise(word, LEN, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: a page is aligned for it, is zeros at first, is only used through this, and is never
    // unmapped.
    Some(unsafe { AtomicU64::from_ptr(word.cast()) })
}

/// A value on the heap whose memory is zeros once it is dropped: for keys of a library that wipes
/// none. It is never moved out.
#[cfg(feature = "ring")]
pub(crate) struct Wiped<T>(Box<MaybeUninit<T>>);

#[cfg(feature = "ring")]
impl<T> Wiped<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Box::new(MaybeUninit::new(value)))
    }
}

#[cfg(feature = "ring")]
impl<T> Deref for Wiped<T> {
    type Target = T;

    #[allow(unsafe_code)]
    fn deref(&self) -> &T {
        // SAFETY: `new` puts a value there, and only `drop` takes it away.
        unsafe { self.0.assume_init_ref() }
    }
}

#[cfg(feature = "ring")]
impl<T> Drop for Wiped<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the value is there, as in `deref`, and nothing uses it after this: what the box
        // frees next is memory without a value.
        unsafe { self.0.assume_init_drop() };
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "ring")]
    fn a_wiped_value_is_dropped_once() {
        let counted = std::rc::Rc::new(());
        let value = Wiped::new((counted.clone(), [7; 100]));
        assert_eq!((std::rc::Rc::strong_count(&counted), value.1), (2, [7; 100]));
        drop(value);
        assert_eq!(std::rc::Rc::strong_count(&counted), 1);
    }

    #[test]
    fn what_was_there_stays_and_there_is_room() {
        for len in [0, 1, 100, 4 << 20, (16 << 20) + 5] {
            let mut out = vec![7; 100];
            reserve(&mut out, len).unwrap();
            assert_eq!(out, [7; 100]);
            assert!(out.capacity() >= len);
            let at = out.as_ptr();
            out.resize(len.max(100), 9);
            assert_eq!(out.as_ptr(), at);
            assert!(out[..100] == [7; 100] && out[100..].iter().all(|byte| *byte == 9));
        }
    }

    #[test]
    fn zeros_are_zeros_and_can_be_written_and_grown() {
        for len in [1, 100, 4 << 20, (16 << 20) + 5] {
            let mut zeros = zeros(len).unwrap();
            assert!(zeros.len() == len && zeros.iter().all(|byte| *byte == 0));
            zeros.fill(7);
            zeros.push(8);
            assert!(zeros.pop() == Some(8) && zeros.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        assert!(reserve(&mut Vec::new(), usize::MAX).is_err());
        for len in [0, usize::MAX, isize::MAX as usize] {
            assert!(zeros(len).is_none());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn large_memory_is_advised_and_small_is_not() {
        if std::fs::read("/sys/kernel/mm/transparent_hugepage/enabled").is_err() {
            return;
        }
        for (len, advised) in [(64 << 20, true), (1 << 20, false)] {
            let mut out = Vec::new();
            reserve(&mut out, len).unwrap();
            let zeros = zeros(len).unwrap();
            assert_eq!(flags_of(zeros.as_ptr() as usize + len / 2).contains(" hg"), advised);
            assert_eq!(flags_of(out.as_ptr() as usize + len / 2).contains(" hg"), advised, "{len}");
        }
    }

    /// What the system says of the mapping that `address` lies in.
    #[cfg(target_os = "linux")]
    fn flags_of(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            if let Some((Ok(start), Ok(end))) = range.map(|(start, end)| {
                (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
            }) {
                inside = (start..end).contains(&address);
            }
            if inside && line.starts_with("VmFlags") {
                return line.to_owned();
            }
        }
        panic!("no mapping holds {address:x}");
    }
}
