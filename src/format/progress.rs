//! What one push consumed and wrote.

/// How much one call to [`Encryptor::update`](super::Encryptor::update) or
/// [`Decryptor::update`](super::Decryptor::update) consumed and wrote.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
/// let progress = encryptor.update(b"hello", &mut [])?;
/// assert_eq!((progress.consumed, progress.written), (5, 0));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that were taken.
    pub consumed: usize,
    /// Bytes at the start of the output that were written.
    pub written: usize,
}
