//! Gets: whole objects as they arrive, ranges by the chunks that they touch.

use crate::error::{generic, of_object};
use crate::headers::Known;
use crate::sizes::Run;
use crate::store::Shared;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN, RangeDecryptor, SEALED_CHUNK_LEN};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, Result};
use std::ops::Range;
use std::sync::Arc;

/// The most that is opened before it is passed on.
const MOST_CHUNKS: usize = 16;

impl<T: ObjectStore> Shared<T> {
    pub(crate) async fn get(&self, path: &Path, mut options: GetOptions) -> Result<GetResult> {
        match options.range.take() {
            _ if options.head => self.head(path, options).await,
            None => self.whole(path, options).await,
            Some(range) => self.range(path, options, range).await,
        }
    }

    async fn head(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.inner.get_opts(path, options).await?;
        result.meta = self.sizes.meta(result.meta)?;
        result.range = 0..result.meta.size;
        result.payload = GetResultPayload::Stream(stream::empty().boxed());
        Ok(result)
    }

    /// The header is read and its key asked for before this returns, so that a refusal is an error
    /// of the get and not of its stream.
    async fn whole(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.inner.get_opts(path, options).await?;
        let (meta, attributes, extensions) = (
            self.sizes.meta(result.meta.clone())?,
            result.attributes.clone(),
            result.extensions.clone(),
        );
        let size = meta.size;
        let refused = |path: &Path| {
            let path = path.clone();
            move |error| of_object(&path, error)
        };
        let opened = self.envelope.decrypt_bytes(result.into_stream(), &self.policy).await;
        let opened = opened.map_err(refused(path))?.map_err(refused(path));
        Ok(GetResult {
            payload: GetResultPayload::Stream(exactly(opened.boxed(), size, path.clone())),
            range: 0..size,
            meta,
            attributes,
            extensions,
        })
    }

    async fn range(&self, path: &Path, options: GetOptions, wanted: GetRange) -> Result<GetResult> {
        wanted.is_valid().map_err(|error| generic(path, error))?;
        // Conditions of the caller are answered for the request that reads the header.
        let free = options.if_match.is_none()
            && options.if_none_match.is_none()
            && options.if_modified_since.is_none()
            && options.if_unmodified_since.is_none()
            && options.version.is_none();
        if free && let Some(known) = self.headers.get(path) {
            match self.run(path, &options, &wanted, &known).await {
                // It is another object now.
                Err(Error::Precondition { .. } | Error::NotFound { .. }) => {
                    self.headers.forget(path);
                }
                result => return result,
            }
        }
        let known = self.front(path, &options).await?;
        self.run(path, &options, &wanted, &known).await
    }

    /// Reads what is in front of the first chunk.
    pub(crate) async fn front(&self, path: &Path, options: &GetOptions) -> Result<Arc<Known>> {
        let front = GetRange::Bounded(0..self.sizes.front_len());
        let options = GetOptions { range: Some(front), ..options.clone() };
        let result = self.inner.get_opts(path, options).await?;
        let (e_tag, size) = (result.meta.e_tag.clone(), result.meta.size);
        let bytes = result.bytes().await?;
        let header = Header::decode(&bytes).map_err(|error| of_object(path, error))?;
        self.check(path, header.bound().body_offset())?;
        self.envelope.admit(&header, &self.policy).map_err(|error| of_object(path, error))?;
        let Some(preamble) = bytes[header.bound().body_offset()..].first_chunk::<PREAMBLE_LEN>()
        else {
            return Err(generic(path, "the object ends before its first chunk"));
        };
        let known = Arc::new(Known { header, preamble: *preamble, e_tag, size });
        self.headers.put(path, &known);
        Ok(known)
    }

    /// Sizes in listings would be wrong otherwise.
    pub(crate) fn check(&self, path: &Path, header_len: usize) -> Result<()> {
        let expected = self.sizes.header_len;
        if header_len as u64 == expected {
            return Ok(());
        }
        let what =
            format!("the header has {header_len} bytes, those of this store have {expected}");
        Err(generic(path, what))
    }

    async fn run(
        &self,
        path: &Path,
        options: &GetOptions,
        wanted: &GetRange,
        known: &Known,
    ) -> Result<GetResult> {
        let whole = self.sizes.plaintext_len(known.size);
        let whole = whole.ok_or_else(|| {
            generic(path, format!("no encrypted object has as many bytes: {}", known.size))
        })?;
        let range = wanted.as_range(whole).map_err(|error| generic(path, error))?;
        let decryptor = self.envelope.decryptor(&known.header, &known.preamble, &self.policy);
        let decryptor = decryptor.await.map_err(|error| of_object(path, error))?.into_range();
        let run = self.sizes.run(&range, whole, path)?;
        let mut asked = options.clone();
        asked.range = Some(GetRange::Bounded(run.range.clone()));
        // The object that the header is of, whatever was put in its place since.
        asked.if_match = known.e_tag.clone().or(asked.if_match);
        let mut result = self.inner.get_opts(path, asked).await?;
        let (got, size) = (result.range.clone(), result.meta.size);
        if got != run.range || size != known.size {
            return Err(generic(path, "the object changed while it was read"));
        }
        result.meta = self.sizes.meta(result.meta)?;
        let (meta, attributes, extensions) =
            (result.meta.clone(), result.attributes.clone(), result.extensions.clone());
        let len = run.len;
        let opened = open(result.into_stream(), decryptor, run, path.clone());
        Ok(GetResult {
            payload: GetResultPayload::Stream(exactly(opened, len, path.clone())),
            meta,
            range,
            attributes,
            extensions,
        })
    }
}

/// The plaintext of a run, as its chunks arrive.
fn open(
    sealed: BoxStream<'static, Result<Bytes>>,
    decryptor: RangeDecryptor,
    run: Run,
    path: Path,
) -> BoxStream<'static, Result<Bytes>> {
    let left = run.range.end - run.range.start;
    let opening = Opening {
        sealed,
        decryptor,
        held: BytesMut::new(),
        left,
        next: run.first,
        wanted: run.skip..run.skip.saturating_add(usize::try_from(run.len).unwrap_or(usize::MAX)),
        at: 0,
        path,
    };
    stream::try_unfold(opening, |mut opening| async move {
        Ok(opening.some().await?.map(|bytes| (bytes, opening)))
    })
    .boxed()
}

struct Opening {
    sealed: BoxStream<'static, Result<Bytes>>,
    decryptor: RangeDecryptor,
    /// What arrived, and is no whole chunk yet.
    held: BytesMut,
    /// How much has still to arrive.
    left: u64,
    /// The number of the next chunk.
    next: u64,
    /// Of the plaintext of the run.
    wanted: Range<usize>,
    /// How much of that was opened.
    at: usize,
    path: Path,
}

impl Opening {
    async fn some(&mut self) -> Result<Option<Bytes>> {
        loop {
            let whole = self.held.len() / SEALED_CHUNK_LEN;
            let sealed_len = match (whole, self.left) {
                (0, 0) => self.held.len(),
                // With the chunk that is cut short, if it is the last.
                (_, 0) if whole < MOST_CHUNKS => self.held.len(),
                _ => whole.min(MOST_CHUNKS) * SEALED_CHUNK_LEN,
            };
            if sealed_len == 0 {
                if self.left == 0 {
                    return Ok(None);
                }
                let Some(bytes) = self.sealed.try_next().await? else {
                    return Err(generic(&self.path, "the store ended its answer too early"));
                };
                let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                    return Err(generic(&self.path, "the store gave more than was asked for"));
                };
                self.left = left;
                self.held.extend_from_slice(&bytes);
                continue;
            }
            let bytes = self.open(sealed_len)?;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// What is wanted of the next chunks.
    fn open(&mut self, sealed_len: usize) -> Result<Bytes> {
        let count = sealed_len.div_ceil(SEALED_CHUNK_LEN);
        let mut out = vec![0; count * CHUNK_LEN];
        let opened = self.decryptor.open(self.next, &self.held[..sealed_len], &mut out);
        let len = opened.map_err(|error| of_object(&self.path, error))?;
        self.held.advance(sealed_len);
        self.next += count as u64;
        let (start, end) = (self.at, self.at + len);
        self.at = end;
        out.truncate(len);
        let wanted = |at: usize| at.clamp(start, end) - start;
        Ok(Bytes::from(out).slice(wanted(self.wanted.start)..wanted(self.wanted.end)))
    }
}

/// As many bytes as were announced, or an error in the end: a size of the store's own is wrong, or
/// the header has another length than those of this store.
fn exactly(
    bytes: BoxStream<'static, Result<Bytes>>,
    len: u64,
    path: Path,
) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold((bytes, 0_u64), move |(mut bytes, mut got)| {
        let path = path.clone();
        async move {
            match bytes.try_next().await? {
                Some(piece) => {
                    got += piece.len() as u64;
                    if got > len {
                        return Err(generic(&path, wrong_size(len)));
                    }
                    Ok(Some((piece, (bytes, got))))
                }
                None if got < len => Err(generic(&path, wrong_size(len))),
                None => Ok(None),
            }
        }
    })
    .boxed()
}

fn wrong_size(len: u64) -> String {
    format!("the plaintext has not the {len} bytes that the object's size stands for")
}
