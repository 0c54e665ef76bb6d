//! The store around a store.

use crate::headers::Headers;
use crate::options::StoreOptions;
use crate::sizes::Sizes;
use crate::upload::Upload;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{BoxStream, StreamExt};
use ncp_envelope::format::Profile;
use ncp_envelope::{DecryptPolicy, EncryptOptions, Envelope};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, coalesce_ranges,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A store whose objects are encrypted on their way into another store, and decrypted on their way
/// out; see the [crate's documentation](crate).
///
/// Cheap to clone; clones share what they remember of headers.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # use ncp_envelope_object_store::EncryptedStore;
/// use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let store = EncryptedStore::new(InMemory::new(), envelope);
/// let path = Path::from("notes/1.txt");
/// store.put(&path, "hello".into()).await?;
/// assert_eq!(store.get(&path).await?.bytes().await?, "hello");
/// assert_eq!(store.inner().head(&path).await?.size, 4_096 + 56 + 5 + 16);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EncryptedStore<T> {
    shared: Arc<Shared<T>>,
}

pub(crate) struct Shared<T> {
    pub(crate) inner: T,
    pub(crate) envelope: Envelope,
    pub(crate) encrypt: EncryptOptions,
    pub(crate) policy: DecryptPolicy,
    pub(crate) sizes: Sizes,
    pub(crate) headers: Headers,
    hide_foreign: bool,
}

impl<T: ObjectStore> EncryptedStore<T> {
    /// With the [default options](StoreOptions::new).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # use ncp_envelope_object_store::EncryptedStore;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let store = EncryptedStore::new(object_store::memory::InMemory::new(), envelope);
    /// assert_eq!(store.to_string(), "EncryptedStore(InMemory)");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(inner: T, envelope: Envelope) -> Self {
        Self::with_options(inner, envelope, StoreOptions::new())
    }

    /// A store over `inner`.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # use ncp_envelope_object_store::{EncryptedStore, StoreOptions};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let inner = object_store::memory::InMemory::new();
    /// let options = StoreOptions::new().hide_foreign(true);
    /// let store = EncryptedStore::with_options(inner, envelope, options);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn with_options(inner: T, envelope: Envelope, options: StoreOptions) -> Self {
        let shared = Shared {
            inner,
            envelope,
            encrypt: options.encrypt.layout(Profile::Page),
            policy: options.policy,
            sizes: Sizes { header_len: options.header_len },
            headers: Headers::new(),
            hide_foreign: options.hide_foreign,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The store below: its objects are ciphertexts.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # use ncp_envelope_object_store::EncryptedStore;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let store = EncryptedStore::new(object_store::memory::InMemory::new(), envelope);
    /// assert_eq!(store.inner().to_string(), "InMemory");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn inner(&self) -> &T {
        &self.shared.inner
    }
}

impl<T: ObjectStore> Shared<T> {
    fn listed(&self, meta: ObjectMeta) -> Option<Result<ObjectMeta>> {
        let foreign = self.sizes.plaintext_len(meta.size).is_none();
        (!foreign || !self.hide_foreign).then(|| self.sizes.meta(meta))
    }

    fn list_of(
        self: &Arc<Self>,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let shared = self.clone();
        let plain = move |meta| {
            ready(match meta {
                Ok(meta) => shared.listed(meta),
                Err(error) => Some(Err(error)),
            })
        };
        objects.filter_map(plain).boxed()
    }
}

#[async_trait::async_trait]
impl<T: ObjectStore> ObjectStore for EncryptedStore<T> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.shared.put(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // The key first: nothing has to be aborted if there is none.
        let encryptor = self.shared.encryptor(location).await?;
        let inner = self.shared.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(Upload::new(inner, encryptor, location.clone())))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.shared.get(location, options).await
    }

    /// Ranges that lie close to each other are read together.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if ranges.len() > 1 && self.shared.headers.get(location).is_none() {
            // Once, before many ask for it at a time.
            self.shared.front(location, &GetOptions::default()).await?;
        }
        let get = |range: Range<u64>| async move {
            let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
            self.shared.get(location, options).await?.bytes().await
        };
        coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.shared.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shared.list_of(self.shared.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shared.list_of(self.shared.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut list = self.shared.inner.list_with_delimiter(prefix).await?;
        let objects = list.objects.into_iter().filter_map(|meta| self.shared.listed(meta));
        list.objects = objects.collect::<Result<_>>()?;
        Ok(list)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.shared.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.shared.inner.rename_opts(from, to, options).await
    }
}

impl<T> Clone for EncryptedStore<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T: fmt::Display> fmt::Display for EncryptedStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedStore({})", self.shared.inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for EncryptedStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore").field("inner", &self.shared.inner).finish_non_exhaustive()
    }
}
