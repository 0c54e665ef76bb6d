//! An open key ring: its document, its keys, and the envelope that unwraps them.
//!
//! Promises: no value is encrypted under a key that is not stored yet. A change of the ring is a
//! new [`RingDocument`], which the caller stores and then [adopts](KeyRing::adopt); until then the
//! ring stays as it is. What is adopted is never older than what is in use, and has the same keys
//! under the same numbers.

use super::document::{KeyRole, RingDocument, RingEntry, RingId};
use super::keys::{EntryKey, FieldName, RingKeys};
use crate::datakey::{Held, Wanted};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, random};
use crate::wrap::Binding;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

/// A key ring whose keys are in memory while it is in use. Cheap to clone; clones and their fields
/// share the keys.
///
/// The keys obey the [limits of the envelope's cache](crate::CacheLimits): time to live, refresh,
/// stale window, idle time. An envelope without a cache holds them for five minutes. Keys in use
/// are unwrapped again in the background, at half of the time to live unless the limits say
/// otherwise; a denial by the key service ends them at once. With several recipients, that is those
/// that this service had unwrapped, and another is asked for them. Calls of a
/// [`Field`](super::Field) wait for nothing: where there are no keys, they fail with the reason,
/// and [`ready`](Self::ready) waits for them.
///
/// ```
/// use ncp_envelope::fields::KeyRing;
/// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let stored = KeyRing::create(&envelope).await?.to_bytes();
///
/// let ring = KeyRing::open(&stored, &envelope).await?;
/// let email = ring.field("customers.email")?;
/// let ciphertext = email.encrypt("kim@example.com", "row 17")?;
/// assert_eq!(*email.decrypt(&ciphertext, "row 17")?, b"kim@example.com");
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    envelope: Envelope,
    current: RwLock<Arc<Current>>,
    /// The names of fields, by their place in [`RingKeys`]: each only once.
    names: Mutex<HashMap<Arc<str>, u32>>,
}

/// A document and its keys.
struct Current {
    document: RingDocument,
    held: Held<RingKeys>,
}

impl KeyRing {
    /// A new ring, with a value key and an index key. Store its [bytes](Self::to_bytes) before
    /// anything is encrypted: what is encrypted under a ring that is lost is lost.
    ///
    /// The keys are made here and wrapped for every recipient of the envelope, and then unwrapped
    /// again and compared: one call each way.
    ///
    /// ```
    /// use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!((ring.document().value_key(), ring.document().index_key()), (1, 2));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the wrappers. [`ErrorKind::Internal`] if a key is not the same after it was
    /// unwrapped.
    pub async fn create(envelope: &Envelope) -> Result<Self> {
        let mut id = [0; 16];
        random(&mut id)?;
        let roles = [KeyRole::Value, KeyRole::Index];
        let keys = [DataKey::generate()?, DataKey::generate()?];
        let named: Vec<_> = (1..).zip(roles).collect();
        let binding = |(number, role)| binding(envelope, &id, number, role);
        let bound: Vec<_> = keys.iter().zip(named.iter().copied().map(binding)).collect();
        let slots = envelope.keys().wrap_bound(&bound).await?;
        let created = seconds_since_1970();
        let entry = |((number, role), slots)| RingEntry { number, role, created, slots };
        let entries = named.iter().copied().zip(slots).map(entry).collect();
        let document = RingDocument::new(RingId(id), 2, entries)?;
        let ring = Self::of(document, envelope)?;
        let unwrapped = ring.current().held.ready().await?;
        let made = named.into_iter().zip(keys);
        let made = made.map(|((number, role), key)| EntryKey { number, role, key });
        if *unwrapped != RingKeys::new(made.collect()) {
            return Err(not_the_same());
        }
        Ok(ring)
    }

    /// Opens a stored ring: one call to the key service for up to 256 keys.
    ///
    /// ```
    /// use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let stored = wait(KeyRing::create(&envelope))??.to_bytes();
    /// let ring = wait(KeyRing::open(&stored, &envelope))??;
    /// assert!(ring.is_ready());
    /// let other_tenant = envelope.for_scope("another tenant")?;
    /// assert!(wait(KeyRing::open(&stored, &other_tenant))?.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Before any call: those of [`RingDocument::decode`], and [`ErrorKind::KeyNotAllowed`] if a
    /// key is not wrapped for any recipient of the envelope. After it: those of the wrappers, and
    /// [`ErrorKind::Authentication`] if a wrapped key is not of this place in this ring, or the
    /// scope is another one.
    pub async fn open(ring: impl AsRef<[u8]>, envelope: &Envelope) -> Result<Self> {
        let ring = Self::of(RingDocument::decode(ring.as_ref())?, envelope)?;
        ring.ready().await?;
        Ok(ring)
    }

    fn of(document: RingDocument, envelope: &Envelope) -> Result<Self> {
        let current = RwLock::new(Arc::new(Current::new(document, envelope)?));
        Ok(Self(Arc::new(Inner { envelope: envelope.clone(), current, names: Mutex::default() })))
    }

    /// The ring as it is stored.
    ///
    /// ```
    /// use ncp_envelope::fields::{KeyRing, KeyRole};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// let roles = ring.document().entries().iter().map(|entry| entry.role()).collect::<Vec<_>>();
    /// assert_eq!(roles, [KeyRole::Value, KeyRole::Index]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn document(&self) -> RingDocument {
        self.current().document.clone()
    }

    /// The bytes of [`document`](Self::document), to be stored where the data is. They are not
    /// secret.
    ///
    /// ```
    /// use ncp_envelope::fields::{KeyRing, RingDocument};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(RingDocument::decode(&ring.to_bytes())?, ring.document());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        self.current().document.to_bytes()
    }

    /// Tells rings apart.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let rings = [wait(KeyRing::create(&envelope))??, wait(KeyRing::create(&envelope))??];
    /// assert_ne!(rings[0].id(), rings[1].id());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn id(&self) -> RingId {
        self.current().document.id()
    }

    /// Waits until the keys are in memory. Costs nothing while they are there: call it first where
    /// a request or a batch begins. A denial is remembered for a second, in which the service is
    /// not called again.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// ring.forget_keys();
    /// assert!(!ring.is_ready());
    /// wait(ring.ready())??;
    /// assert!(ring.is_ready());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the wrappers, as for [`open`](Self::open).
    pub async fn ready(&self) -> Result<()> {
        self.current().held.ready().await.map(drop)
    }

    /// Whether the keys are in memory and their time to live is not over.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// assert!(wait(KeyRing::create(&envelope))??.is_ready());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn is_ready(&self) -> bool {
        self.current().held.is_here()
    }

    /// The ring with a new value key. Nothing uses it until it is [adopted](Self::adopt).
    ///
    /// Store it first, in place of the ring that it was made from and of no other: two processes
    /// that rotate at the same time make different keys of the same number, and one of the two
    /// documents must be refused.
    ///
    /// ```
    /// # use ncp_envelope::fields::{FieldCiphertext, KeyRing};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// # let store = |_: &[u8]| ();
    /// let email = ring.field("customers.email")?;
    /// let old = email.encrypt("kim@example.com", "17")?;
    ///
    /// let newer = wait(ring.rotate())??;
    /// store(&newer.to_bytes());
    /// wait(ring.adopt(&newer))??;
    ///
    /// let new = email.encrypt("kim@example.com", "17")?;
    /// assert_eq!(FieldCiphertext::parse(&old)?.key_number(), 1);
    /// assert_eq!(FieldCiphertext::parse(&new)?.key_number(), 3);
    /// assert_eq!(email.decrypt(&old, "17")?, email.decrypt(&new, "17")?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create). [`ErrorKind::LimitExceeded`] if the ring is full.
    pub async fn rotate(&self) -> Result<RingDocument> {
        self.with_new(KeyRole::Value).await
    }

    /// The ring with a new index key. Nothing uses it until it is [adopted](Self::adopt); store it
    /// first, as [`rotate`](Self::rotate) says. Indexes of values change with it:
    /// [`Field::indexes`](super::Field::indexes) gives old and new ones.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// let email = ring.field("customers.email")?;
    /// let old = email.index("kim@example.com")?;
    /// wait(ring.adopt(&wait(ring.rotate_index())??))??;
    /// let new = email.index("kim@example.com")?;
    /// assert_ne!(old, new);
    /// assert_eq!(email.indexes("kim@example.com")?, [new, old]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_index(&self) -> Result<RingDocument> {
        self.with_new(KeyRole::Index).await
    }

    async fn with_new(&self, role: KeyRole) -> Result<RingDocument> {
        let (current, envelope) = (self.current(), &self.0.envelope);
        let (key, number) = (DataKey::generate()?, current.document.next_number()?);
        let binding = binding(envelope, current.document.id().as_bytes(), number, role);
        let slots = envelope.keys().wrap_bound(&[(&key, binding)]).await?;
        let slots = slots.into_iter().flatten().collect();
        let newer = current.document.with_entry(role, seconds_since_1970(), slots)?;
        // Also proves that the others can be unwrapped still.
        let unwrapped = Current::new(newer.clone(), envelope)?.held.ready().await?;
        match unwrapped.get(number) {
            Some(entry) if entry.key.expose_secret() == key.expose_secret() => Ok(newer),
            _ => Err(not_the_same()),
        }
    }

    /// The ring with every wrapped key under the newest version of its key-encryption key; see
    /// [`RingDocument::rewrap`]. The keys are the same: adopting it is needed only before old
    /// versions are [retired](Envelope::retire_below).
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// let ciphertext = ring.field("customers.email")?.encrypt("kim@example.com", "17")?;
    /// let stored = wait(ring.rewrap())??.to_bytes();
    /// let ring = wait(KeyRing::open(&stored, &envelope))??;
    /// assert!(ring.field("customers.email")?.decrypt(&ciphertext, "17").is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn rewrap(&self) -> Result<RingDocument> {
        self.document().rewrap(&self.0.envelope).await
    }

    /// The ring without the key `number`, which must not be the newest of its role; see
    /// [`RingDocument::retire`]. Values under it cannot be decrypted once this is adopted.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// let email = ring.field("customers.email")?;
    /// let old = email.encrypt("kim@example.com", "17")?;
    /// wait(ring.adopt(&wait(ring.rotate())??))??;
    /// wait(ring.adopt(&ring.retire(1)?))??;
    /// assert!(email.decrypt(&old, "17").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn retire(&self, number: u32) -> Result<RingDocument> {
        self.current().document.retire(number)
    }

    /// Uses another document of this ring from now on, in all clones and fields: what was stored
    /// after [`rotate`](Self::rotate), or what another process has stored since. Its keys are
    /// unwrapped first; until then the ring stays in use as it is.
    ///
    /// ```
    /// # use ncp_envelope::fields::{KeyRing, RingDocument};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// # let stored = wait(ring.rotate())??.to_bytes();
    /// let before = ring.document();
    /// wait(ring.adopt(&RingDocument::decode(&stored)?))??;
    /// assert_eq!(ring.document().value_key(), 3);
    /// assert!(wait(ring.adopt(&before))?.is_err(), "it is older");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is another ring, or older than the one in use, or has
    /// another key under a number of it. Those of [`open`](Self::open). The ring stays as it was.
    pub async fn adopt(&self, document: &RingDocument) -> Result<()> {
        let newer = Arc::new(Current::new(document.clone(), &self.0.envelope)?);
        self.current().check_newer(document)?;
        let keys = newer.held.ready().await?;
        loop {
            let present = self.current();
            present.check_newer(document)?;
            // Where the keys in use cannot be unwrapped any more, the document may be what mends
            // that.
            let known = present.held.ready().await.ok();
            if let Some(number) = known.and_then(|known| known.contradicts(&keys)) {
                let text = format!(
                    "key {number} of the document is another one than that of the ring in use: two \
                     processes have rotated it at the same time: load the ring that is stored"
                );
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
            // Another document may have been adopted since, and was not compared.
            if Arc::ptr_eq(&current, &present) {
                *current = newer;
                drop(current);
                // Its keys are wiped without the lock.
                drop(present);
                return Ok(());
            }
        }
    }

    /// Wipes the keys now, those of all clones and fields; the next use has them unwrapped again. A
    /// call that is running ends first, one for a column with the run of at most 4,096 values that
    /// each of its threads is at.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// ring.forget_keys();
    /// assert!(!ring.is_ready());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn forget_keys(&self) {
        self.current().held.forget();
    }

    /// The field of this name, with its place among the fields of this ring.
    pub(super) fn name(&self, name: &str) -> FieldName {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, place)) = names.get_key_value(name) {
            return FieldName { name: name.clone(), place: *place };
        }
        // Behind the last place there are no keys.
        let place = names.len().try_into().unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        names.insert(name.clone(), place);
        FieldName { name, place }
    }

    /// The keys, if they are in memory.
    pub(super) fn keys(&self) -> Result<Arc<RingKeys>> {
        self.current().held.get()
    }

    fn current(&self) -> Arc<Current> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    /// All keys are held together: a ring with one that does not open is not opened (`R-14`).
    fn new(document: RingDocument, envelope: &Envelope) -> Result<Self> {
        let id = document.id();
        let wanted = |entry: &RingEntry| Wanted {
            name: format!("key {} of the ring", entry.number()),
            slots: entry.slots().to_vec(),
            binding: binding(envelope, id.as_bytes(), entry.number(), entry.role()),
        };
        let wanted = document.entries().iter().map(wanted).collect();
        let named: Vec<_> =
            document.entries().iter().map(|entry| (entry.number(), entry.role())).collect();
        let build = move |keys: Vec<DataKey>| {
            let entries = named.iter().copied().zip(keys);
            let entry = |((number, role), key)| EntryKey { number, role, key };
            RingKeys::new(entries.map(entry).collect())
        };
        let held = envelope.keys().hold(wanted, build)?;
        Ok(Self { document, held })
    }

    /// `R-15`
    fn check_newer(&self, other: &RingDocument) -> Result<()> {
        let refused = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        let (ours, theirs) = (self.document.id(), other.id());
        if ours != theirs {
            return refused(format!("the document is of the ring {theirs}, not of {ours}"));
        }
        // The newest key of a role is never retired (R-13), so its number cannot fall. Whoever can
        // write a ring can also raise its highest number, which alone would hide an older one.
        let numbers = |ring: &RingDocument| [ring.highest(), ring.value_key(), ring.index_key()];
        let all = numbers(&self.document).into_iter().zip(numbers(other));
        for ((ours, theirs), what) in all.zip(["number", "value key", "index key"]) {
            if theirs < ours {
                return refused(format!(
                    "the document is older than the ring in use: its highest {what} is {theirs}, \
                     not {ours}: load the ring that is stored"
                ));
            }
        }
        // A number is never used again, so that a key that only the document has was removed since.
        let has = |number| self.document.entries().iter().any(|entry| entry.number() == number);
        let mut theirs = other.entries().iter().map(RingEntry::number);
        match theirs.find(|number| *number <= self.document.highest() && !has(*number)) {
            Some(number) => refused(format!(
                "the document is older than the ring in use: its key {number} was retired since: \
                 load the ring that is stored"
            )),
            None => Ok(()),
        }
    }
}

fn binding(envelope: &Envelope, id: &[u8; 16], number: u32, role: KeyRole) -> Binding {
    Binding::ring(envelope.scope(), id, number, role.code())
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn not_the_same() -> Error {
    let text = "the key service gave another key back than it was given: the ring is not used";
    Error::new(ErrorKind::Internal, text)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current();
        f.debug_struct("KeyRing")
            .field("id", &current.document.id())
            .field("value_key", &current.document.value_key())
            .field("index_key", &current.document.index_key())
            .field("ready", &current.held.is_here())
            .finish_non_exhaustive()
    }
}
