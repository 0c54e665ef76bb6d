//! The suites of cryptography that a message can have.

use std::fmt;

/// What a message is encrypted and its keys are derived with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// Cobblestone-256: AES-256-GCM chunks under keys from HKDF-SHA-512.
    Cobblestone256,
    /// What another release may write.
    #[cfg(test)]
    Unknown,
}

impl Suite {
    /// The suite with this code in a header (`F-6`), if this release has one.
    pub(crate) fn from_code(code: u16) -> Option<Self> {
        (code == Self::Cobblestone256.code()).then_some(Self::Cobblestone256)
    }

    /// Its code in a header and in a wrapped key (`F-6`, `F-28`).
    pub fn code(self) -> u16 {
        match self {
            Self::Cobblestone256 => 1,
            #[cfg(test)]
            Self::Unknown => 2,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cobblestone256 => "Cobblestone-256",
            #[cfg(test)]
            Self::Unknown => "unknown",
        })
    }
}
