//! Puts of whole objects, and what seals parts of one.

use crate::error::of_object;
use crate::store::Shared;
use bytes::Bytes;
use ncp_envelope::format::{Encryptor, Header, PREAMBLE_LEN};
use object_store::path::Path;
use object_store::{ObjectStore, PutOptions, PutPayload, PutResult, Result};
use zeroize::Zeroizing;

impl<T: ObjectStore> Shared<T> {
    /// Through the envelope's own call for whole messages, which obeys its limits on the reuse of
    /// data keys, and its threads.
    pub(crate) async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (refused, mut sealed) = (|error| of_object(path, error), Vec::new());
        match payload.as_ref() {
            [whole] => self.envelope.encrypt_into(whole, &self.encrypt, &mut sealed).await,
            parts => {
                let whole = Zeroizing::new(parts.concat());
                self.envelope.encrypt_into(&*whole, &self.encrypt, &mut sealed).await
            }
        }
        .map_err(refused)?;
        self.check(path, Header::len_from(&sealed).map_err(refused)?)?;
        self.inner.put_opts(path, Bytes::from(sealed).into(), options).await
    }

    /// For a new object in parts, whose header has the length that all have.
    pub(crate) async fn encryptor(&self, path: &Path) -> Result<Encryptor> {
        let encryptor = self.envelope.encryptor(&self.encrypt).await;
        let encryptor = encryptor.map_err(|error| of_object(path, error))?;
        self.check(path, encryptor.front().len() - PREAMBLE_LEN)?;
        Ok(encryptor)
    }
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
