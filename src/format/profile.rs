//! What a writer may choose: how regions are laid out.

/// Longest region A, and longest single copy of region B, in bytes (`F-8`, `F-9`).
pub const MAX_REGION_LEN: usize = 65_536;
/// Alignment of everything in the durable profile: what a disk writes whole.
pub(super) const BLOCK_LEN: usize = 4_096;

/// How the header is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// One copy of the key slots and no alignment: a few hundred bytes of overhead.
    #[default]
    Compact,
    /// Two copies of the key slots, each in disk blocks of its own (12,288 bytes of header): the
    /// slots can be replaced in place on a file, and a write torn by a power cut loses nothing.
    Durable,
}

impl Profile {
    /// How many copies of region B there are (`F-14`).
    pub fn copies(self) -> usize {
        match self {
            Self::Compact => 1,
            Self::Durable => 2,
        }
    }

    pub(super) fn slot_alignment(self) -> usize {
        match self {
            Self::Compact => 64,
            Self::Durable => BLOCK_LEN,
        }
    }
}
