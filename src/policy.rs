//! What a caller asks for when it writes a message, and what it accepts when it reads one.

use crate::context::EncryptionContext;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DEFAULT_MAX_SLOTS, Header, Layout, MAX_SLOTS};
use crate::wrap::KeyId;
use std::fmt;
use std::time::Duration;

/// How to write a message: its context, associated data and layout.
///
/// An [`EncryptionContext`] converts into it, so calls that need nothing else take one directly.
///
/// ```
/// use ncp_envelope::format::Profile;
/// use ncp_envelope::{EncryptOptions, EncryptionContext};
/// let context = EncryptionContext::new().with("purpose", "backup")?;
/// let options = EncryptOptions::new().context(context).aad("volume 7").layout(Profile::Durable);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct EncryptOptions {
    pub(crate) context: EncryptionContext,
    pub(crate) aad: Vec<u8>,
    pub(crate) layout: Layout,
}

impl EncryptOptions {
    /// No context, no associated data, compact profile.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores these pairs in the clear in the header and authenticates them.
    #[must_use]
    pub fn context(mut self, context: EncryptionContext) -> Self {
        self.context = context;
        self
    }

    /// Authenticates these bytes without storing them: the reader has to supply the same. Empty is
    /// the same as none.
    #[must_use]
    pub fn aad(mut self, aad: impl Into<Vec<u8>>) -> Self {
        self.aad = aad.into();
        self
    }

    /// Chooses a [`Profile`](crate::format::Profile), or a [`Layout`] with a detached body. What is
    /// written is header and body one after the other all the same:
    /// [`DetachedWriter`](crate::io::DetachedWriter) sends each to an object of its own.
    #[must_use]
    pub fn layout(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = layout.into();
        self
    }
}

impl fmt::Debug for EncryptOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptOptions")
            .field("context", &self.context)
            .field("aad_len", &self.aad.len())
            .field("layout", &self.layout)
            .finish()
    }
}

impl From<EncryptionContext> for EncryptOptions {
    fn from(context: EncryptionContext) -> Self {
        Self::new().context(context)
    }
}

impl From<&EncryptionContext> for EncryptOptions {
    fn from(context: &EncryptionContext) -> Self {
        Self::new().context(context.clone())
    }
}

impl From<&EncryptOptions> for EncryptOptions {
    fn from(options: &EncryptOptions) -> Self {
        options.clone()
    }
}

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
    #[must_use]
    pub fn require(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.required.push((name.into(), value.into()));
        self
    }

    /// Supplies the associated data the message was written with. Empty is the same as none.
    #[must_use]
    pub fn aad(mut self, aad: impl Into<Vec<u8>>) -> Self {
        self.aad = aad.into();
        self
    }

    /// Accepts slots under this key, in addition to those accepted so far. The first call replaces
    /// the default, which are the keys of the envelope's recipients.
    ///
    /// A slot under the key of a recipient goes to that one's wrapper; one under another key to the
    /// wrappers of the same provider, or to all if there is none, and they say what they refuse.
    #[must_use]
    pub fn allow_key(mut self, key: KeyId) -> Self {
        self.keys.push(key);
        self
    }

    /// Accepts messages with up to this many slots, at most 16.
    #[must_use]
    pub fn max_slots(mut self, slots: usize) -> Self {
        self.max_slots = Some(slots.min(MAX_SLOTS));
        self
    }

    /// Asks for at most this many unwraps for one message, cached ones included.
    #[must_use]
    pub fn max_unwraps(mut self, calls: usize) -> Self {
        self.max_unwraps = Some(calls);
        self
    }

    /// Accepts no key from a cache that was asked for longer ago than this, whatever the cache's
    /// own limits are; zero accepts none. An answer that others are waiting for already is
    /// accepted.
    #[must_use]
    pub fn max_key_age(mut self, age: Duration) -> Self {
        self.max_key_age = Some(age);
        self
    }

    /// Expects a detached body (`F-13`), an object of its own, and refuses a message in one piece:
    /// hand in the bytes of the header, and behind them those of the body, as
    /// [`Read::chain`](std::io::Read::chain) does. Off unless set.
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
    /// message (`F-32`, `F-33`). Asks nobody.
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
        // What an envelope writes it reads.
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
            let found: Vec<_> = slots.iter().map(|slot| format!("{:?}", slot.key_id())).collect();
            return Err(Error::new(
                ErrorKind::KeyNotAllowed,
                format!(
                    "message is not acceptable: none of its keys is allowed: it has {}",
                    found.join(", ")
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

fn refused(why: String) -> Error {
    Error::new(ErrorKind::NotAccepted, format!("message is not acceptable: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Profile;

    #[test]
    fn options_are_what_they_are_made_from() {
        let context = EncryptionContext::new().with("kind", "note").unwrap();
        for options in [EncryptOptions::from(context.clone()), (&context).into()] {
            assert_eq!((&options.context, options.layout), (&context, Profile::Compact.into()));
            assert!(options.aad.is_empty());
        }
        let layout = Layout::from(Profile::Durable).detached(true);
        let options = EncryptOptions::new().context(context.clone()).aad("volume 7").layout(layout);
        for options in [&options, &EncryptOptions::from(&options)] {
            assert_eq!((&options.context, options.layout), (&context, layout));
            assert_eq!(options.aad, b"volume 7");
        }
    }
}
