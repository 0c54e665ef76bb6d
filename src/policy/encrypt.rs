//! How a message is written.

use crate::context::EncryptionContext;
use crate::error::Result;
use crate::format::Layout;
use std::borrow::Cow;
use std::fmt;

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
    ///
    /// ```
    /// use ncp_envelope::{DataKey, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptOptions::new())?;
    /// let opened = envelope.decrypt(&message, ncp_envelope::DecryptPolicy::new())?;
    /// assert!(opened.context.is_empty());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores these pairs in the clear in the header and authenticates them.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::EncryptionContext;
    /// let context = EncryptionContext::new().with("kind", "note")?;
    /// let message = envelope.encrypt("hello", EncryptOptions::new().context(context))?;
    /// let opened = envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(opened.context.get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn context(mut self, context: EncryptionContext) -> Self {
        self.context = context;
        self
    }

    /// Authenticates these bytes without storing them: the reader has to supply the same. Empty is
    /// the same as none.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let options = EncryptOptions::new().aad("row 7");
    /// let message = envelope.encrypt("hello", &options)?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new().aad("row 7")).is_ok());
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new().aad("row 8")).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn aad(mut self, aad: impl Into<Vec<u8>>) -> Self {
        self.aad = aad.into();
        self
    }

    /// Chooses a [`Profile`](crate::format::Profile), or a [`Layout`] with a detached body. What is
    /// written is header and body one after the other all the same:
    /// [`DetachedWriter`](crate::io::DetachedWriter) sends each to an object of its own.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Header, Profile};
    /// let options = EncryptOptions::new().layout(Profile::Durable);
    /// let message = envelope.encrypt("hello", &options)?;
    /// assert_eq!(Header::decode(&message)?.bound().profile(), Profile::Durable);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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
        context.clone().into()
    }
}

/// What calls that write take: [`EncryptOptions`], an [`EncryptionContext`], or its pairs as an
/// array or a slice; by value or by reference.
///
/// Implement it for a type of your own that knows its context.
///
/// ```
/// use ncp_envelope::{
///     DataKey, EncryptOptions, EncryptionContext, Envelope, ToEncryptOptions, LocalKeyWrapper,
///     Result,
/// };
/// use std::borrow::Cow;
///
/// struct Invoice {
///     number: u32,
/// }
///
/// impl ToEncryptOptions for Invoice {
///     fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
///         let number = self.number.to_string();
///         let context = EncryptionContext::try_from([("kind", "invoice"), ("number", &number)])?;
///         Ok(Cow::Owned(context.into()))
///     }
/// }
///
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("1,000 won", &Invoice { number: 7 })?;
/// assert!(envelope.decrypt(&message, [("number", "7")]).is_ok());
/// assert!(envelope.decrypt(&message, [("number", "8")]).is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of options for encryption",
    label = "not options, a context or pairs",
    note = "use `EncryptOptions`, an `EncryptionContext`, a reference to one of them, or pairs: \
            `[(\"purpose\", \"invoice\")]`; `EncryptionContext::new()` if there is nothing to bind"
)]
pub trait ToEncryptOptions {
    /// The options; borrowed where they exist already.
    ///
    /// # Errors
    /// Those of [`EncryptionContext::with`], for pairs.
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>>;
}

impl ToEncryptOptions for EncryptOptions {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        Ok(Cow::Borrowed(self))
    }
}

impl ToEncryptOptions for EncryptionContext {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        Ok(Cow::Owned(self.into()))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> ToEncryptOptions for [(K, V)] {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        Ok(Cow::Owned(EncryptionContext::from_slice(self)?.into()))
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> ToEncryptOptions for [(K, V); N] {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        self[..].to_options()
    }
}

impl<T: ToEncryptOptions + ?Sized> ToEncryptOptions for &T {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        (**self).to_options()
    }
}

impl<T: ToEncryptOptions + Clone> ToEncryptOptions for Cow<'_, T> {
    fn to_options(&self) -> Result<Cow<'_, EncryptOptions>> {
        (**self).to_options()
    }
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
        for options in [&options, &options.clone()] {
            assert_eq!((&options.context, options.layout), (&context, layout));
            assert_eq!(options.aad, b"volume 7");
        }
    }
}
