//! The cipher suites of messages.

use std::fmt;

/// The algorithms that encrypt a message and derive its keys.
///
/// ```
/// use ncp_envelope::format::Suite;
///
/// assert_eq!(Suite::Cobblestone256.to_string(), "Cobblestone-256");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// Cobblestone-256: AES-256-GCM chunks under keys from HKDF-SHA-512.
    Cobblestone256,
    /// A suite of another release.
    #[cfg(test)]
    Unknown,
}

/// The suite of new messages.
pub(crate) const SUITE: Suite = Suite::Cobblestone256;

impl Suite {
    /// The suite with this code in a header (`F-6`), if this release has one.
    pub(crate) fn from_code(code: u16) -> Option<Self> {
        (code == Self::Cobblestone256.code()).then_some(Self::Cobblestone256)
    }

    /// Its code in a header and in a wrapped key (`F-6`, `F-28`).
    ///
    /// ```
    /// assert_eq!(ncp_envelope::format::Suite::Cobblestone256.code(), 1);
    /// ```
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
