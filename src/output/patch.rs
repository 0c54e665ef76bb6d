//! Bytes of an existing file, changed in place.

use super::system;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Writes `new` over the bytes `old` of `file` at `offset`, as long as these, with one write of
/// what differs, and syncs it.
///
/// What fails is undone: the old bytes are written again, and synced if possible. A failed sync is
/// undone as well, as the system marks a page clean after it failed to write it.
///
/// # Errors
/// Those of the system, and whether the old bytes are there again.
pub(crate) fn overwrite(
    file: &File,
    old: &[u8],
    new: &[u8],
    offset: u64,
    sync: bool,
) -> Result<(), Failed> {
    let changed = differing(old, new);
    let at = offset + changed.start as u64;
    let write = |bytes: &[u8]| system::overwrite(file, &bytes[changed.clone()], at);
    let synced = || if sync { system::sync_data(file) } else { Ok(()) };
    let Err(error) = write(new).and_then(|()| synced()) else { return Ok(()) };
    let undone = write(old).is_ok();
    // Nothing is lost if it fails: the disk has either, or what no write could change.
    let _ = system::sync_data(file);
    Err(Failed { error, undone })
}

/// Why bytes were not changed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: io::Error,
    /// Whether the old bytes are there again.
    pub(crate) undone: bool,
}

/// From the first byte that is another one to the last.
pub(crate) fn differing(old: &[u8], new: &[u8]) -> Range<usize> {
    let differs = |(old, new): (&u8, &u8)| old != new;
    let Some(start) = old.iter().zip(new).position(differs) else { return 0..0 };
    let end = old.iter().zip(new).rposition(differs).map_or(start, |last| last + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_reaches_from_the_first_to_the_last() {
        for (old, new, range) in [
            ("", "", 0..0),
            ("same", "same", 0..0),
            ("abcd", "xbcd", 0..1),
            ("abcd", "abcx", 3..4),
            ("abcd", "axxd", 1..3),
            ("abcd", "xbcx", 0..4),
        ] {
            assert_eq!(differing(old.as_bytes(), new.as_bytes()), range, "{old} {new}");
        }
    }
}
