//! Errors of messages as errors of stores.

use ncp_envelope::ErrorKind;
use object_store::Error;
use object_store::path::Path;
use std::fmt;

pub(crate) const STORE: &str = "EncryptedStore";

/// Which object, and what is wrong with it.
#[derive(Debug)]
struct Refused {
    path: String,
    error: ncp_envelope::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.error)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What the key service refuses is a refusal of rights, which programs tell from other failures.
pub(crate) fn of_object(path: &Path, error: ncp_envelope::Error) -> Error {
    let kind = error.kind();
    let source = Box::new(Refused { path: path.to_string(), error });
    match kind {
        ErrorKind::AccessDenied | ErrorKind::KeyNotAllowed | ErrorKind::KeyUnusable => {
            Error::PermissionDenied { path: path.to_string(), source }
        }
        ErrorKind::Credentials => Error::Unauthenticated { path: path.to_string(), source },
        _ => Error::Generic { store: STORE, source },
    }
}

pub(crate) fn generic(path: &Path, what: impl fmt::Display) -> Error {
    Error::Generic { store: STORE, source: format!("{path}: {what}").into() }
}
