//! The rules for every secret of a caller, and how it becomes a header.

use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Longest credential in bytes. Tokens seen have about 800; servers commonly limit a header to 8
/// KiB.
pub(crate) const MAX_CREDENTIAL_LEN: usize = 8_192;

/// A header that is zeroized with its last copy, and that HTTP libraries do not print.
pub(crate) fn secret_header(secret: &SecretString) -> Result<HeaderValue> {
    let bytes = Bytes::from_owner(Zeroizing::new(secret.expose_secret().as_bytes().to_vec()));
    let mut value = HeaderValue::from_maybe_shared(bytes)
        .map_err(|_| bad("a credential cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn checked(what: &str, secret: SecretString) -> Result<SecretString> {
    let text = secret.expose_secret();
    if text.is_empty() || text.len() > MAX_CREDENTIAL_LEN {
        return Err(bad(format!("{what} is empty or longer than {MAX_CREDENTIAL_LEN} bytes")));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(format!(
            "{what} has a space, line break or other character that is not visible ascii"
        )));
    }
    Ok(secret)
}

pub(crate) fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Credentials, message)
}
