//! What can be chosen of a store.

use ncp_envelope::{DecryptPolicy, EncryptOptions};

/// The length of a header in the page profile, unless its context or its slots are large.
const HEADER_LEN: u64 = 4_096;

/// How objects are encrypted, and which are accepted.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
/// use ncp_envelope::EncryptionContext;
/// use ncp_envelope_object_store::{EncryptedStore, StoreOptions};
/// use object_store::memory::InMemory;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let context = EncryptionContext::new().with("bucket", "invoices")?;
/// let options = StoreOptions::new()
///     .encrypt(EncryptOptions::new().context(context.clone()))
///     .policy(DecryptPolicy::new().require_all(&context));
/// let store = EncryptedStore::with_options(InMemory::new(), envelope, options);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub(crate) encrypt: EncryptOptions,
    pub(crate) policy: DecryptPolicy,
    pub(crate) header_len: u64,
    pub(crate) hide_foreign: bool,
}

impl StoreOptions {
    /// No context, every message of the envelope accepted, headers of 4,096 bytes.
    ///
    /// ```
    /// assert!(format!("{:?}", ncp_envelope_object_store::StoreOptions::new()).contains("4096"));
    /// ```
    pub fn new() -> Self {
        Self {
            encrypt: EncryptOptions::new(),
            policy: DecryptPolicy::new(),
            header_len: HEADER_LEN,
            hide_foreign: false,
        }
    }

    /// Context and associated data of all objects that are put. The layout is the store's.
    ///
    /// ```
    /// # use ncp_envelope_object_store::StoreOptions;
    /// # use ncp_envelope::{EncryptOptions, EncryptionContext};
    /// let context = EncryptionContext::new().with("bucket", "invoices")?;
    /// let options = StoreOptions::new().encrypt(EncryptOptions::new().context(context));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn encrypt(mut self, options: EncryptOptions) -> Self {
        self.encrypt = options;
        self
    }

    /// Which objects are accepted when they are got: by context, key, scope.
    ///
    /// ```
    /// # use ncp_envelope_object_store::StoreOptions;
    /// # use ncp_envelope::DecryptPolicy;
    /// let options = StoreOptions::new().policy(DecryptPolicy::new().max_slots(2));
    /// ```
    pub fn policy(mut self, policy: DecryptPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The length of every header, a multiple of 4,096 bytes; default: 4,096. More is needed if
    /// the context, or wrapped keys of several recipients, take more room. An object whose header
    /// has another length is refused, at put and at get, because listings would tell a wrong size.
    ///
    /// ```
    /// # use ncp_envelope_object_store::StoreOptions;
    /// let options = StoreOptions::new().header_len(8_192);
    /// ```
    pub fn header_len(mut self, len: u64) -> Self {
        self.header_len = len;
        self
    }

    /// Leaves objects out of listings that are too short to be encrypted ones, or have a length
    /// that no encrypted object has: empty markers of directories, for example. Otherwise one such
    /// object is an error in the listing. Default: false.
    ///
    /// ```
    /// # use ncp_envelope_object_store::StoreOptions;
    /// let options = StoreOptions::new().hide_foreign(true);
    /// ```
    pub fn hide_foreign(mut self, hide: bool) -> Self {
        self.hide_foreign = hide;
        self
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
