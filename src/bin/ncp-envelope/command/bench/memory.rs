//! Measurements in memory.

use crate::command::bench::row::{MEMORY_LEN, What, fill};
use crate::input::blocking;
use crate::status::Failure;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ncp_envelope::format::{CHUNK_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind};
use std::time::Instant;

/// Buffers that every round reuses.
pub(crate) struct Memory {
    envelope: Envelope,
    raw: LessSafeKey,
    plain: Vec<u8>,
    message: Vec<u8>,
    sealed: Vec<u8>,
    opened: Vec<u8>,
}

impl Memory {
    pub(crate) async fn new(envelope: &Envelope) -> Result<Self, Failure> {
        let envelope = envelope.clone();
        beside(async move { Self::made(&envelope).await }).await
    }

    /// Measures one row, and returns its buffers.
    pub(crate) async fn run(mut self, what: What, threads: usize) -> Result<(Self, f64), Failure> {
        beside(async move {
            let seconds = self.measure(what, threads).await?;
            Ok((self, seconds))
        })
        .await
    }

    async fn made(envelope: &Envelope) -> Result<Self, Error> {
        let failed = |_| Error::new(ErrorKind::Internal, "cannot set up the cipher");
        let mut plain = vec![0; MEMORY_LEN];
        fill(&mut plain, 1);
        let message = envelope.encrypt(&plain, EncryptionContext::new()).await?;
        Ok(Self {
            raw: LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM, DataKey::generate()?.expose_secret())
                    .map_err(failed)?,
            ),
            sealed: vec![1; message.len()],
            opened: vec![1; MEMORY_LEN],
            envelope: envelope.clone(),
            message,
            plain,
        })
    }

    async fn measure(&mut self, what: What, threads: usize) -> Result<f64, Error> {
        let envelope = self.envelope.threads(threads);
        let start = Instant::now();
        match what {
            What::Sealing => self.seal_raw()?,
            What::Copy => self.opened.copy_from_slice(&self.plain),
            What::Encrypt => {
                let none = EncryptionContext::new();
                envelope.encrypt_into(&self.plain, none, &mut self.sealed).await?;
            }
            What::Decrypt => {
                let none = DecryptPolicy::new();
                envelope.decrypt_into(&self.message, none, &mut self.opened).await?;
            }
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// The primitive on the same memory in pieces of a chunk, without any format around it: that of
    /// aws-lc-rs, so that machines and backends can be compared.
    fn seal_raw(&mut self) -> Result<(), Error> {
        let failed = |_| Error::new(ErrorKind::Internal, "sealing failed");
        for (index, (chunk, out)) in
            self.plain.chunks(CHUNK_LEN).zip(self.sealed.chunks_mut(SEALED_CHUNK_LEN)).enumerate()
        {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
            let (out, tag) = out.split_at_mut(chunk.len());
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.raw
                .seal_out_of_place_scatter(
                    nonce,
                    Aad::empty(),
                    chunk,
                    out,
                    &[],
                    &mut tag[..TAG_LEN],
                )
                .map_err(failed)?;
        }
        Ok(())
    }
}

/// Runs `work`, which takes long, on another thread, so that a signal can end the command.
async fn beside<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Handle::current();
    blocking(move || runtime.block_on(work)).await?.map_err(Failure::writing)
}
