//! The one error for answers that the service must not give.

use crate::error::{Error, ErrorKind};
use std::fmt;

pub(crate) fn contract(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the key service breaks its contract: {what}"))
}
