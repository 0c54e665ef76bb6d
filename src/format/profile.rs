//! What a writer may choose: how zones are laid out, and the suite of the body.

/// Suite Cobblestone-256 (`F-6`): AES-256-GCM chunks under keys from HKDF-SHA-512.
pub const SUITE_COBBLESTONE_256: u16 = 1;

/// Longest zone A, and longest single copy of zone B, in bytes (`F-8`, `F-9`).
pub const MAX_ZONE_LEN: usize = 65_536;
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
    /// How many copies of zone B there are (`F-14`).
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
