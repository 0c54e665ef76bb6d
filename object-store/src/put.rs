//! Puts of whole objects.

use crate::error::of_object;
use crate::store::Shared;
use bytes::Bytes;
use ncp_envelope::format::Encryptor;
use object_store::path::Path;
use object_store::{ObjectStore, PutOptions, PutPayload, PutResult, Result};
use std::future::poll_fn;
use std::task::Poll;

/// How much is sealed before other tasks get their turn: some tenth of a millisecond.
const TURN: usize = 1 << 20;

impl<T: ObjectStore> Shared<T> {
    pub(crate) async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let encryptor = self.encryptor(path).await?;
        let sealed = seal(encryptor, &payload).await.map_err(|error| of_object(path, error))?;
        self.inner.put_opts(path, Bytes::from(sealed).into(), options).await
    }

    /// For a new object, whose header has the length that all have.
    pub(crate) async fn encryptor(&self, path: &Path) -> Result<Encryptor> {
        let encryptor = self.envelope.encryptor(&self.encrypt).await;
        let encryptor = encryptor.map_err(|error| of_object(path, error))?;
        self.check(path, encryptor.front().len() - ncp_envelope::format::PREAMBLE_LEN)?;
        Ok(encryptor)
    }
}

async fn seal(mut encryptor: Encryptor, payload: &PutPayload) -> ncp_envelope::Result<Vec<u8>> {
    let chunks_len = encryptor.update_len(payload.content_length());
    // The last chunk is longer than its tag by less than a chunk.
    let most = encryptor.front().len() + chunks_len + ncp_envelope::format::SEALED_CHUNK_LEN;
    let mut out = Vec::with_capacity(most);
    out.extend_from_slice(encryptor.front());
    for piece in payload.iter().flat_map(|bytes| bytes.chunks(TURN)) {
        append(&mut encryptor, piece, &mut out)?;
        if payload.content_length() > TURN {
            give_way().await;
        }
    }
    finish(encryptor, &mut out)?;
    Ok(out)
}

/// Seals the chunks that `plaintext` completes onto the end of `out`.
pub(crate) fn append(
    encryptor: &mut Encryptor,
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> ncp_envelope::Result<()> {
    let at = out.len();
    out.resize(at + encryptor.update_len(plaintext.len()), 0);
    encryptor.update(plaintext, &mut out[at..])?;
    Ok(())
}

/// Seals the last chunk onto the end of `out`.
pub(crate) fn finish(encryptor: Encryptor, out: &mut Vec<u8>) -> ncp_envelope::Result<()> {
    let at = out.len();
    out.resize(at + encryptor.finish_len(), 0);
    encryptor.finish(&mut out[at..])?;
    Ok(())
}

/// Lets other tasks of any executor run.
async fn give_way() {
    let mut gave = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
