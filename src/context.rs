//! What a message is bound to besides its key: the encryption context, which is stored, and the
//! scope, which is not.

use crate::error::{Error, ErrorKind, Result};
use aws_lc_rs::digest;
use std::collections::BTreeMap;
use std::fmt;

/// Most context pairs a message may have (`F-10`).
pub const MAX_CONTEXT_PAIRS: usize = 64;
/// Most bytes that all context pairs with their length fields may take (`F-10`).
pub const MAX_CONTEXT_LEN: usize = 8_192;

/// Name–value pairs kept in the clear in a message's header: readable by anyone, changeable by no
/// one.
///
/// Use it for what the data is and whom it belongs to; never for secrets. A reader can require
/// pairs ([`DecryptPolicy::require`](crate::DecryptPolicy::require)). At most 64 pairs and 8,192
/// bytes with 4 bytes of overhead a pair.
///
/// ```
/// use ncp_envelope::EncryptionContext;
/// let context = EncryptionContext::new().with("purpose", "invoice")?.with("year", "2026")?;
/// assert_eq!(context.get("year"), Some("2026"));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct EncryptionContext {
    // Strings order by their bytes, which is the order F-10 asks for.
    pairs: BTreeMap<String, String>,
}

impl EncryptionContext {
    /// No pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty name or one that is there already,
    /// [`ErrorKind::LimitExceeded`] past 64 pairs or 8,192 bytes.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        self.insert(name, value)?;
        Ok(self)
    }

    /// Adds a pair in place; see [`with`](Self::with). On error nothing is added.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a context name is empty"));
        }
        if self.pairs.contains_key(&name) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("context name {name:?} is given twice"),
            ));
        }
        if self.pairs.len() == MAX_CONTEXT_PAIRS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("an encryption context holds at most {MAX_CONTEXT_PAIRS} pairs"),
            ));
        }
        if self
            .encoded_len()
            .saturating_add(4)
            .saturating_add(name.len())
            .saturating_add(value.len())
            > MAX_CONTEXT_LEN
        {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "an encryption context takes at most {MAX_CONTEXT_LEN} bytes, 4 of overhead \
                     for each pair included"
                ),
            ));
        }
        self.pairs.insert(name, value);
        Ok(())
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// All pairs, ascending by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.iter().map(|(name, value)| 4 + name.len() + value.len()).sum()
    }
}

impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.pairs).finish()
    }
}

/// A caller's name for what a data key may be used for: a tenant, a purpose. Travels inside the
/// wrapped key and is not stored in the message; a reader with another scope cannot open it
/// (`F-29`).
///
/// Without a scope, whoever may decrypt one tenant's message under a KMS key holds a data key with
/// which to write messages that every other tenant under that KMS key would accept.
///
/// ```
/// use ncp_envelope::Scope;
/// assert_ne!(Scope::new("tenant-42"), Scope::new("tenant-43"));
/// assert_eq!(Scope::default(), Scope::new(""));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    hash: [u8; 32],
}

impl Scope {
    /// The scope of this name; the empty name is a scope of its own.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"ncp-envelope scope v1\0");
        hash.update(name.as_ref());
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        Self { hash: out }
    }

    /// SHA-256 of the framed name, as wrapped beside the data key.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::new("")
    }
}

impl<T: AsRef<[u8]>> From<T> for Scope {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A tenant's name may be confidential; four bytes of its hash tell two scopes apart in a
        // log.
        let [a, b, c, d, ..] = self.hash;
        write!(f, "Scope({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_refuses_what_a_header_cannot_hold() {
        let context = EncryptionContext::new().with("a", "1").unwrap();
        assert_eq!(context.clone().with("a", "2").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(context.clone().with("", "2").unwrap_err().kind(), ErrorKind::InvalidInput);
        // 4 + 1 + 1 bytes are taken, 4 + 1 + 8181 is exactly the rest.
        assert!(context.clone().with("b", "x".repeat(8_181)).is_ok());
        assert_eq!(
            context.with("b", "x".repeat(8_182)).unwrap_err().kind(),
            ErrorKind::LimitExceeded
        );
        let mut many = EncryptionContext::new();
        for i in 0..64 {
            many.insert(format!("n{i}"), "").unwrap();
        }
        assert_eq!(many.insert("more", "").unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(many.len(), 64);
    }

    #[test]
    fn pairs_come_out_in_byte_order() {
        let context = EncryptionContext::new()
            .with("é", "3")
            .unwrap()
            .with("b", "2")
            .unwrap()
            .with("B", "1")
            .unwrap();
        assert_eq!(context.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["B", "b", "é"]);
    }
}
