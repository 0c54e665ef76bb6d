//! What a failed call to the key service says of the keys that were asked for.

use crate::error::ErrorKind;

/// What a failed call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service cannot be asked now.
    Outage,
    /// Something on this side, which says nothing of the key or the service.
    Own,
    /// This wrapped key is not to be used.
    OfKey,
    /// The key-encryption key is not, or not by this caller; so every key wrapped under it is not.
    OfFamily,
}

impl Failure {
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => Self::Outage,
            ErrorKind::Internal | ErrorKind::Io => Self::Own,
            ErrorKind::AccessDenied | ErrorKind::KeyUnusable | ErrorKind::Credentials => {
                Self::OfFamily
            }
            _ => Self::OfKey,
        }
    }
}
