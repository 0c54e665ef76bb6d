//! What a reader accepts.

use crate::context::EncryptionContext;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DEFAULT_MAX_SLOTS, Header, MAX_SLOTS};
use crate::wrap::KeyId;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What a reader accepts. Checked before any key is asked for (`F-32`), and again when a key comes
/// out of a cache.
///
/// By default: the keys of the envelope's own recipients, no required context, no associated data,
/// at most 4 slots and 4 unwrap calls, or as many as the envelope has recipients if those are more.
///
/// ```
/// use ncp_envelope::DecryptPolicy;
/// let policy = DecryptPolicy::new().require("purpose", "backup").aad("volume 7");
/// ```
#[derive(Clone)]
pub struct DecryptPolicy {
    required: Vec<(String, String)>,
    aad: Vec<u8>,
    keys: Vec<KeyId>,
    max_slots: Option<usize>,
    max_unwraps: Option<usize>,
    max_key_age: Option<Duration>,
    detached: bool,
}

impl DecryptPolicy {
    /// The default policy; see the type.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new() -> Self {
        Self {
            required: Vec::new(),
            aad: Vec::new(),
            keys: Vec::new(),
            max_slots: None,
            max_unwraps: None,
            max_key_age: None,
            detached: false,
        }
    }

    /// Requires this context pair, name and value. Can be called many times.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// let policy = DecryptPolicy::new().require("kind", "note");
    /// assert!(envelope.decrypt(&message, &policy).is_ok());
    /// assert!(envelope.decrypt(&message, policy.require("tenant", "42")).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn require(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.required.push((name.into(), value.into()));
        self
    }

    /// Requires every pair of `context`; a message may have others besides.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::EncryptionContext;
    /// let context = EncryptionContext::try_from([("kind", "note"), ("tenant", "42")])?;
    /// let message = envelope.encrypt("hello", &context)?;
    /// let policy = DecryptPolicy::new().require_all(&context).aad("");
    /// assert!(envelope.decrypt(&message, &policy).is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn require_all(mut self, context: &EncryptionContext) -> Self {
        self.required.extend(context.iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Supplies the associated data the message was written with. Empty is the same as none.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let options = EncryptOptions::new().aad("volume 7");
    /// let message = envelope.encrypt("hello", options)?;
    /// let policy = DecryptPolicy::new().aad("volume 7");
    /// assert!(envelope.decrypt(&message, &policy).is_ok());
    /// assert!(envelope.decrypt(&message, policy.aad("volume 8")).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn aad(mut self, aad: impl Into<Vec<u8>>) -> Self {
        self.aad = aad.into();
        self
    }

    /// Accepts slots under this key, in addition to those accepted so far. The first call replaces
    /// the default, which are the keys of the envelope's recipients.
    ///
    /// A slot under the key of a recipient goes to that one's wrapper; one under another key to the
    /// wrappers of the same provider, or to all if there is none, and these refuse what is not
    /// theirs.
    ///
    /// ```
    /// use ncp_envelope::{
    ///     DataKey, DecryptPolicy, EncryptionContext, Envelope, ErrorKind, KeyWrapper,
    ///     LocalKeyWrapper,
    /// };
    /// let old = LocalKeyWrapper::new("2025", &DataKey::generate()?)?;
    /// let new = LocalKeyWrapper::new("2026", &DataKey::generate()?)?;
    /// // Both keys can read, and messages of the old one are refused from now on.
    /// let policy = DecryptPolicy::new().allow_key(new.key_id().clone());
    /// let of_old = Envelope::builder(old.clone()).build()?.blocking();
    /// let message = of_old.encrypt("hello", EncryptionContext::new())?;
    /// let reader = Envelope::builder(new).and(old).build()?.blocking();
    /// assert_eq!(reader.decrypt(&message, &policy).unwrap_err().kind(), ErrorKind::KeyNotAllowed);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn allow_key(mut self, key: KeyId) -> Self {
        self.keys.push(key);
        self
    }

    /// Accepts messages with up to this many slots, at most 16.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// let wrapper = |id: &str| LocalKeyWrapper::new(id, &DataKey::generate()?);
    /// let mine = wrapper("mine")?;
    /// let mut team = Envelope::builder(mine.clone());
    /// for id in ["a", "b", "c", "d"] {
    ///     team = team.and(wrapper(id)?);
    /// }
    /// let message = team.build()?.blocking().encrypt("hello", EncryptionContext::new())?;
    /// let reader = Envelope::builder(mine).build()?.blocking();
    /// assert!(reader.decrypt(&message, DecryptPolicy::new()).is_err());
    /// assert!(reader.decrypt(&message, DecryptPolicy::new().max_slots(5)).is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn max_slots(mut self, slots: usize) -> Self {
        self.max_slots = Some(slots.min(MAX_SLOTS));
        self
    }

    /// Allows at most this many unwraps for one message, cached ones included.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptOptions::new())?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new().max_unwraps(1)).is_ok());
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new().max_unwraps(0)).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn max_unwraps(mut self, calls: usize) -> Self {
        self.max_unwraps = Some(calls);
        self
    }

    /// Accepts no cached key that is older than this, whatever the cache's own limits are; the age
    /// counts from before the call that fetched it. Zero accepts none. The result of a call that is
    /// already in flight is accepted.
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300));
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// for policy in [DecryptPolicy::new(), DecryptPolicy::new().max_key_age(Duration::ZERO)] {
    ///     assert_eq!(envelope.decrypt(&message, policy)?, "hello");
    /// }
    /// // The second one asked the key service although the cache has the key.
    /// assert_eq!(envelope.stats().cache.hits, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn max_key_age(mut self, age: Duration) -> Self {
        self.max_key_age = Some(age);
        self
    }

    /// Expects a detached body (`F-13`), an object of its own, and refuses a message in one piece:
    /// hand in the bytes of the header, and behind them those of the body, as
    /// [`Read::chain`](std::io::Read::chain) does. Off unless set.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Layout, Profile};
    /// let layout = Layout::from(Profile::Page).detached(true);
    /// let message = envelope.encrypt("hello", EncryptOptions::new().layout(layout))?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new()).is_err());
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new().detached(true)).is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn detached(mut self, detached: bool) -> Self {
        self.detached = detached;
        self
    }

    /// How old a key from a cache may be.
    pub(crate) fn key_age_limit(&self) -> Option<Duration> {
        self.max_key_age
    }

    /// The associated data to open a message with.
    pub(crate) fn aad_bytes(&self) -> &[u8] {
        &self.aad
    }

    /// Which slots an envelope whose recipients have the keys `own` may try, or why it refuses the
    /// message (`F-32`, `F-33`). Makes no call.
    pub(crate) fn admit<'a>(
        &'a self,
        header: &'a Header,
        own: &'a [KeyId],
    ) -> Result<Admitted<'a>> {
        let bound = header.bound();
        bound.check_detached(self.detached)?;
        for (name, value) in &self.required {
            match bound.context().get(name) {
                Some(found) if found == value => {}
                Some(_) => {
                    return Err(refused(format!(
                        "its context has another value for {name:?} than the one required"
                    )));
                }
                None => {
                    return Err(refused(format!("its context lacks {name:?}, which is required")));
                }
            }
        }
        bound.check_aad(&self.aad)?;
        let slots = header.slots().slots();
        // An envelope can read what it writes.
        let most = |limit: Option<usize>| limit.unwrap_or(DEFAULT_MAX_SLOTS.max(own.len()));
        let (max_slots, max_unwraps) = (most(self.max_slots), most(self.max_unwraps));
        if slots.len() > max_slots {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("message has {} key slots, the policy accepts {max_slots}", slots.len()),
            ));
        }
        let keys = if self.keys.is_empty() { own } else { &self.keys };
        let admitted = Admitted { keys, max_unwraps };
        if !slots.iter().any(|slot| admitted.accepts(slot.key_id())) {
            return Err(Error::new(
                ErrorKind::KeyNotAllowed,
                format!(
                    "message is for {}, and this reader is for {}: use a key that the message is \
                     for",
                    list(slots.iter().map(|slot| slot.key_id())),
                    list(keys.iter()),
                ),
            ));
        }
        if max_unwraps == 0 {
            return Err(Error::new(ErrorKind::LimitExceeded, "the policy allows no unwrap call"));
        }
        Ok(admitted)
    }
}

/// What a policy lets a reader try: at least one slot of the message, and at least one unwrap.
#[derive(Clone, Copy)]
pub(crate) struct Admitted<'a> {
    keys: &'a [KeyId],
    pub(crate) max_unwraps: usize,
}

impl Admitted<'_> {
    pub(crate) fn accepts(&self, key: &KeyId) -> bool {
        self.keys.contains(key)
    }
}

impl Default for DecryptPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DecryptPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptPolicy")
            .field("required", &self.required)
            .field("aad_len", &self.aad.len())
            .field("keys", &self.keys)
            .field("max_slots", &self.max_slots)
            .field("max_unwraps", &self.max_unwraps)
            .field("max_key_age", &self.max_key_age)
            .field("detached", &self.detached)
            .finish()
    }
}

impl From<EncryptionContext> for DecryptPolicy {
    fn from(context: EncryptionContext) -> Self {
        Self::new().require_all(&context)
    }
}

impl From<&EncryptionContext> for DecryptPolicy {
    fn from(context: &EncryptionContext) -> Self {
        Self::new().require_all(context)
    }
}

/// What calls that read take: a [`DecryptPolicy`], an [`EncryptionContext`], or its pairs as an
/// array or a slice; by value or by reference. All pairs given are required.
///
/// ```
/// use ncp_envelope::{
///     DataKey, DecryptPolicy, EncryptionContext, Envelope, ErrorKind, LocalKeyWrapper,
/// };
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let context = EncryptionContext::try_from([("kind", "note"), ("year", "2026")])?;
/// let message = envelope.encrypt("hello", &context)?;
///
/// assert_eq!(envelope.decrypt(&message, &context)?, "hello");
/// assert_eq!(envelope.decrypt(&message, [("kind", "note")])?, "hello");
/// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
/// let error = envelope.decrypt(&message, [("kind", "invoice")]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotAccepted);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy for decryption",
    label = "not a policy, a context or pairs",
    note = "use a `DecryptPolicy`, an `EncryptionContext` whose pairs are required, a reference \
            to one of them, or pairs: `[(\"purpose\", \"invoice\")]`; `DecryptPolicy::new()` \
            requires none"
)]
pub trait ToDecryptPolicy {
    /// The policy; borrowed where it exists already.
    ///
    /// # Errors
    /// Those of [`EncryptionContext::with`], for pairs.
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>>;
}

impl ToDecryptPolicy for DecryptPolicy {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        Ok(Cow::Borrowed(self))
    }
}

impl ToDecryptPolicy for EncryptionContext {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        Ok(Cow::Owned(self.into()))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> ToDecryptPolicy for [(K, V)] {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        Ok(Cow::Owned(EncryptionContext::from_slice(self)?.into()))
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> ToDecryptPolicy for [(K, V); N] {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        self[..].to_policy()
    }
}

impl<T: ToDecryptPolicy + ?Sized> ToDecryptPolicy for &T {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        (**self).to_policy()
    }
}

impl<T: ToDecryptPolicy + Clone> ToDecryptPolicy for Cow<'_, T> {
    fn to_policy(&self) -> Result<Cow<'_, DecryptPolicy>> {
        (**self).to_policy()
    }
}

fn refused(why: String) -> Error {
    Error::new(ErrorKind::NotAccepted, format!("message is not acceptable: {why}"))
}

/// Keys as a person names them.
fn list<'a>(keys: impl Iterator<Item = &'a KeyId>) -> String {
    let keys: Vec<_> = keys.map(|key| format!("key {key} ({})", key.provider())).collect();
    match &keys[..] {
        [] => "no key".into(),
        [head @ .., last] if !head.is_empty() => format!("{} or {last}", head.join(", ")),
        _ => keys.concat(),
    }
}
