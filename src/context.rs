//! What a message is bound to besides its key: the encryption context, which is stored, and the
//! scope, which is not.

use crate::error::{Error, ErrorKind, Result};
use aws_lc_rs::digest;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::fmt;
use std::sync::Arc;

/// Most context pairs a message may have (`F-10`).
pub const MAX_CONTEXT_PAIRS: usize = 64;
/// Most bytes that all context pairs with their length fields may take (`F-10`).
pub const MAX_CONTEXT_LEN: usize = 8_192;

/// Name–value pairs kept in the clear in a message's header: readable by anyone, changeable by no
/// one.
///
/// Use it for what the data is and whom it belongs to; never for secrets. A reader can require
/// pairs ([`DecryptPolicy::require`](crate::DecryptPolicy::require)). At most 64 pairs and 8,192
/// bytes with 4 bytes of overhead a pair. Clones share the pairs.
///
/// ```
/// use ncp_envelope::EncryptionContext;
/// let context = EncryptionContext::try_from([("purpose", "invoice"), ("year", "2026")])?;
/// assert_eq!(context, EncryptionContext::new().with("purpose", "invoice")?.with("year", "2026")?);
/// assert_eq!(context.get("year"), Some("2026"));
/// for (name, value) in &context {
///     println!("{name} = {value}");
/// }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct EncryptionContext {
    // Strings order by their bytes, which is the order F-10 asks for. Shared, as every message that
    // is opened hands its context out. No pairs are always None, so that equal means equal.
    pairs: Option<Arc<BTreeMap<String, String>>>,
}

impl EncryptionContext {
    /// No pairs.
    ///
    /// ```
    /// use ncp_envelope::EncryptionContext;
    /// assert_eq!(EncryptionContext::new(), EncryptionContext::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// These pairs, in any order.
    ///
    /// ```
    /// use ncp_envelope::EncryptionContext;
    /// let labels = vec![("tenant".to_string(), 42), ("shard".to_string(), 7)];
    /// let pairs = labels.iter().map(|(name, number)| (name, number.to_string()));
    /// let context = EncryptionContext::from_pairs(pairs)?;
    /// assert_eq!(context.get("tenant"), Some("42"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        pairs.into_iter().try_fold(Self::new(), |context, (name, value)| context.with(name, value))
    }

    pub(crate) fn from_slice(pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<Self> {
        Self::from_pairs(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
    }

    /// Adds a pair.
    ///
    /// ```
    /// use ncp_envelope::{EncryptionContext, ErrorKind};
    /// let context = EncryptionContext::new().with("tenant", "42")?;
    /// assert_eq!(context.with("tenant", "43").unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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
    /// ```
    /// let mut context = ncp_envelope::EncryptionContext::new();
    /// context.insert("tenant", "42")?;
    /// assert_eq!(context.get("tenant"), Some("42"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a context name is empty"));
        }
        if self.get(&name).is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("context name {name:?} is given twice"),
            ));
        }
        if self.len() == MAX_CONTEXT_PAIRS {
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
        Arc::make_mut(self.pairs.get_or_insert_default()).insert(name, value);
        Ok(())
    }

    /// The value under `name`.
    ///
    /// ```
    /// let context = ncp_envelope::EncryptionContext::new().with("tenant", "42")?;
    /// assert_eq!((context.get("tenant"), context.get("user")), (Some("42"), None));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.as_ref()?.get(name).map(String::as_str)
    }

    /// All pairs, ascending by the bytes of their names.
    ///
    /// ```
    /// let context = ncp_envelope::EncryptionContext::try_from([("b", "2"), ("a", "1")])?;
    /// assert!(context.iter().eq([("a", "1"), ("b", "2")]));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn iter(&self) -> ContextPairs<'_> {
        ContextPairs(self.pairs.as_ref().map(|pairs| pairs.iter()))
    }

    /// How many pairs there are.
    ///
    /// ```
    /// let context = ncp_envelope::EncryptionContext::new().with("tenant", "42")?;
    /// assert_eq!(context.len(), 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.pairs.as_ref().map_or(0, |pairs| pairs.len())
    }

    /// Whether there are no pairs.
    ///
    /// ```
    /// assert!(ncp_envelope::EncryptionContext::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.pairs.is_none()
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.iter().map(|(name, value)| 4 + name.len() + value.len()).sum()
    }
}

impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a EncryptionContext {
    type Item = (&'a str, &'a str);
    type IntoIter = ContextPairs<'a>;

    fn into_iter(self) -> ContextPairs<'a> {
        self.iter()
    }
}

/// The pairs of an [`EncryptionContext`], ascending by the bytes of their names.
///
/// ```
/// let context = ncp_envelope::EncryptionContext::try_from([("b", "2"), ("a", "1")])?;
/// let mut pairs = context.iter();
/// assert_eq!((pairs.len(), pairs.next()), (2, Some(("a", "1"))));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ContextPairs<'a>(Option<btree_map::Iter<'a, String, String>>);

impl<'a> Iterator for ContextPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl ExactSizeIterator for ContextPairs<'_> {}

impl<K: Into<String>, V: Into<String>, const N: usize> TryFrom<[(K, V); N]> for EncryptionContext {
    type Error = Error;

    fn try_from(pairs: [(K, V); N]) -> Result<Self> {
        Self::from_pairs(pairs)
    }
}

impl<K: Into<String>, V: Into<String>> TryFrom<Vec<(K, V)>> for EncryptionContext {
    type Error = Error;

    fn try_from(pairs: Vec<(K, V)>) -> Result<Self> {
        Self::from_pairs(pairs)
    }
}

impl<K: Into<String>, V: Into<String>> TryFrom<BTreeMap<K, V>> for EncryptionContext {
    type Error = Error;

    fn try_from(pairs: BTreeMap<K, V>) -> Result<Self> {
        Self::from_pairs(pairs)
    }
}

impl<K: Into<String>, V: Into<String>, S> TryFrom<HashMap<K, V, S>> for EncryptionContext {
    type Error = Error;

    fn try_from(pairs: HashMap<K, V, S>) -> Result<Self> {
        Self::from_pairs(pairs)
    }
}

/// A caller's name for what a data key may be used for: a tenant, a purpose. Travels inside the
/// wrapped key and is not stored in the message; a reader with another scope cannot open it
/// (`F-29`).
///
/// Without a scope, anyone who may decrypt one tenant's message under a KMS key gets a data key
/// with which they can write messages that every other tenant under that KMS key would accept.
///
/// ```
/// use ncp_envelope::Scope;
/// assert_ne!(Scope::new("tenant-42"), Scope::new("tenant-43"));
/// assert_eq!(Scope::default(), Scope::new(""));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    name: Arc<[u8]>,
    hash: [u8; 32],
}

impl Scope {
    /// The scope of this name; the empty name is a scope of its own.
    ///
    /// ```
    /// use ncp_envelope::Scope;
    /// assert_eq!(Scope::new("tenant-42"), Scope::from("tenant-42"));
    /// ```
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"ncp-envelope scope v1\0");
        hash.update(name.as_ref());
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        Self { name: name.as_ref().into(), hash: out }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
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
