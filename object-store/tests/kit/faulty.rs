//! A store that counts requests and bytes, keeps what was sent, and fails when it is told to.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug)]
pub(crate) struct Faulty<T> {
    pub(crate) inner: Arc<T>,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) gets: AtomicU64,
    pub(crate) puts: AtomicU64,
    /// Bytes of the bodies of gets.
    pub(crate) fetched: AtomicU64,
    /// All that was sent to be stored, by what failed as well: the upload's number, and the part.
    pub(crate) sent: Mutex<Vec<(u64, Bytes)>>,
    uploads: AtomicU64,
    /// Counts down with each request that stores something; what makes it 0 fails.
    pub(crate) fails_in: AtomicU64,
}

impl<T> Faulty<T> {
    pub(crate) fn new(inner: Arc<T>) -> Self {
        Self { inner, seen: Arc::default() }
    }

    pub(crate) fn gets(&self) -> u64 {
        self.seen.gets.load(Ordering::Relaxed)
    }

    pub(crate) fn fetched(&self) -> u64 {
        self.seen.fetched.load(Ordering::Relaxed)
    }

    /// The `n`th request from now that stores something fails; from 1.
    pub(crate) fn fail_in(&self, n: u64) {
        self.seen.fails_in.store(n, Ordering::Relaxed);
    }
}

impl<T> Clone for Faulty<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), seen: self.seen.clone() }
    }
}

impl Seen {
    fn attempt(&self) -> Result<()> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        let before = self.fails_in.load(Ordering::Relaxed);
        if before > 0 {
            self.fails_in.store(before - 1, Ordering::Relaxed);
        }
        match before {
            1 => Err(Error::Generic { store: "Faulty", source: "told to fail".into() }),
            _ => Ok(()),
        }
    }
}

fn joined(payload: &PutPayload) -> Bytes {
    payload.iter().flatten().copied().collect()
}

impl<T: ObjectStore> fmt::Display for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait::async_trait]
impl<T: ObjectStore> ObjectStore for Faulty<T> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let number = self.seen.uploads.fetch_add(1, Ordering::Relaxed);
        self.seen.sent.lock().unwrap().push((number, joined(&payload)));
        self.seen.attempt()?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.seen.attempt()?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        let number = self.seen.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FaultyUpload { inner, seen: self.seen.clone(), number }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.seen.gets.fetch_add(1, Ordering::Relaxed);
        let mut result = self.inner.get_opts(location, options).await?;
        let (meta, range) = (result.meta.clone(), result.range.clone());
        let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
        let payload = std::mem::replace(
            &mut result.payload,
            GetResultPayload::Stream(futures_util::stream::empty().boxed()),
        );
        let whole = GetResult { payload, meta, range, attributes, extensions };
        let seen = self.seen.clone();
        let counted = whole.into_stream().inspect(move |bytes| {
            let len = bytes.as_ref().map_or(0, Bytes::len);
            seen.fetched.fetch_add(len as u64, Ordering::Relaxed);
        });
        result.payload = GetResultPayload::Stream(counted.boxed());
        Ok(result)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    seen: Arc<Seen>,
    number: u64,
}

#[async_trait::async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.seen.sent.lock().unwrap().push((self.number, joined(&data)));
        match self.seen.attempt() {
            Ok(()) => self.inner.put_part(data),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.seen.attempt()?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
