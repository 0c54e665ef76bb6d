//! What a failed call to the key service says about the requested keys.

use crate::error::ErrorKind;

/// What a failed call says about its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service is unreachable or too busy.
    Outage,
    /// A local failure, which says nothing about the key or the service.
    Own,
    /// This wrapped key is denied.
    OfKey,
    /// The key-encryption key is denied, and with it every key wrapped under it.
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
