//! Multipart uploads.
//!
//! Promises: chunks are sealed once, in order, when their part is given, and what was sealed is
//! what is sent, however often the store below sends it. Parts of the store are of one length but
//! for the last, and of 5 MiB at least, which some services insist on: what a part of the caller's
//! leaves over waits for the next. So at most one part is held here beside those in flight. An
//! upload of which a part failed, or was not waited for, does not complete.

use crate::error::{generic, of_object};
use crate::put::{append, finish};
use bytes::Bytes;
use futures_util::future::{FutureExt, try_join_all};
use ncp_envelope::format::{CHUNK_LEN, Encryptor, SEALED_CHUNK_LEN};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The least length of a part that is not the last, of most services.
const LEAST_PART: usize = 5 << 20;

pub(crate) struct Upload {
    inner: Box<dyn MultipartUpload>,
    path: Path,
    /// None after the end.
    encryptor: Option<Encryptor>,
    /// Sealed, and not given to the store yet.
    held: Vec<u8>,
    /// Of all parts but the last; known from the first one of the caller's.
    part_len: Option<usize>,
    /// Parts that the store has not taken yet. It never gets to 0 again if one failed or was
    /// dropped.
    open: Arc<AtomicUsize>,
}

impl Upload {
    pub(crate) fn new(inner: Box<dyn MultipartUpload>, encryptor: Encryptor, path: Path) -> Self {
        Self {
            inner,
            path,
            held: encryptor.front().to_vec(),
            encryptor: Some(encryptor),
            part_len: None,
            open: Arc::default(),
        }
    }

    /// Gives the store the first `len` bytes that are held.
    fn send(&mut self, len: usize) -> UploadPart {
        let rest = self.held.split_off(len);
        let part = Bytes::from(std::mem::replace(&mut self.held, rest));
        self.open.fetch_add(1, Ordering::AcqRel);
        let (sent, open) = (self.inner.put_part(part.into()), self.open.clone());
        async move {
            sent.await?;
            open.fetch_sub(1, Ordering::AcqRel);
            Ok(())
        }
        .boxed()
    }

    fn seal(&mut self, data: &PutPayload) -> Result<()> {
        let Some(encryptor) = &mut self.encryptor else { return Err(over(&self.path)) };
        for bytes in data {
            append(encryptor, bytes, &mut self.held)
                .map_err(|error| of_object(&self.path, error))?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let whole_chunks = data.content_length() / CHUNK_LEN * SEALED_CHUNK_LEN;
        let part_len = *self.part_len.get_or_insert(whole_chunks.max(LEAST_PART));
        if let Err(error) = self.seal(&data) {
            // What was sealed of it is not to be followed by anything.
            self.encryptor = None;
            return async move { Err(error) }.boxed();
        }
        let mut parts = Vec::new();
        while self.held.len() >= part_len {
            parts.push(self.send(part_len));
        }
        async move { try_join_all(parts).await.map(drop) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.open.load(Ordering::Acquire) != 0 {
            let what = "a part failed or was not waited for: abort the upload, and begin again";
            return Err(generic(&self.path, what));
        }
        let encryptor = self.encryptor.take().ok_or_else(|| over(&self.path))?;
        finish(encryptor, &mut self.held).map_err(|error| of_object(&self.path, error))?;
        // The last chunk may have made it longer than a part.
        let part_len = self.part_len.unwrap_or(LEAST_PART);
        while self.held.len() > part_len {
            self.send(part_len).await?;
        }
        self.send(self.held.len()).await?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.encryptor = None;
        self.inner.abort().await
    }
}

fn over(path: &Path) -> Error {
    generic(path, "the upload has failed or is over: begin a new one")
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
