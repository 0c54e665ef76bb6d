//! Memory advice to the system: huge pages for large outputs, and a word that is zeroed by forks.
//! The only module with `unsafe` code.
//!
//! The system maps new memory at its first write, 4 KiB at a time, and for a message of many MiB
//! that takes longer than the encryption. Huge pages need a 512th of the page faults, on systems
//! that leave the choice to the program (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`, the usual setting).

use std::collections::TryReserveError;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicU64;

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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn more_than_there_can_be_is_an_error() {
        assert!(reserve(&mut Vec::new(), usize::MAX).is_err());
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
