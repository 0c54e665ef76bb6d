//! Key rings.

use crate::blocking::{BlockingEnvelope, BlockingKeyRing, wait};
use crate::error::Result;
use crate::fields::{Field, KeyRing, RingDocument};

impl BlockingEnvelope {
    /// As [`KeyRing::create`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.create_ring()?.ring().document().entries().len(), 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn create_ring(&self) -> Result<BlockingKeyRing> {
        wait(KeyRing::create(&self.0))?.map(BlockingKeyRing)
    }

    /// As [`KeyRing::open`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let stored = envelope.create_ring()?.ring().to_bytes();
    /// assert!(envelope.open_ring(&stored)?.ring().is_ready());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn open_ring(&self, ring: impl AsRef<[u8]>) -> Result<BlockingKeyRing> {
        wait(KeyRing::open(ring, &self.0))?.map(BlockingKeyRing)
    }
}

impl KeyRing {
    /// The same ring, with calls that block.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let ring = envelope.create_ring()?.ring().clone();
    /// ring.blocking().ready()?;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn blocking(&self) -> BlockingKeyRing {
        BlockingKeyRing(self.clone())
    }
}

impl BlockingKeyRing {
    /// The ring, for all that needs no call.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.create_ring()?.ring().document().highest(), 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn ring(&self) -> &KeyRing {
        &self.0
    }

    /// As [`KeyRing::field`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.create_ring()?.field("customers.email")?.name(), "customers.email");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn field(&self, name: impl AsRef<str>) -> Result<Field> {
        self.0.field(name)
    }

    /// As [`KeyRing::ready`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let ring = envelope.create_ring()?;
    /// ring.ring().forget_keys();
    /// ring.ready()?;
    /// assert!(ring.ring().is_ready());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn ready(&self) -> Result<()> {
        wait(self.0.ready())?
    }

    /// As [`KeyRing::rotate`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.create_ring()?.rotate()?.value_key(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rotate(&self) -> Result<RingDocument> {
        wait(self.0.rotate())?
    }

    /// As [`KeyRing::rotate_index`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.create_ring()?.rotate_index()?.index_key(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rotate_index(&self) -> Result<RingDocument> {
        wait(self.0.rotate_index())?
    }

    /// As [`KeyRing::rewrap`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let ring = envelope.create_ring()?;
    /// assert_eq!(ring.rewrap()?.id(), ring.ring().id());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rewrap(&self) -> Result<RingDocument> {
        wait(self.0.rewrap())?
    }

    /// As [`KeyRing::adopt`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let ring = envelope.create_ring()?;
    /// ring.adopt(&ring.rotate()?)?;
    /// assert_eq!(ring.ring().document().value_key(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn adopt(&self, document: &RingDocument) -> Result<()> {
        wait(self.0.adopt(document))?
    }
}
