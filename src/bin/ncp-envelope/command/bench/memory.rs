//! Measurements in memory.

use crate::command::bench::row::{MEMORY_LEN, What, fill, timed};
use crate::input::blocking;
use crate::status::Failure;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ncp_envelope::format::{
    CHUNK_LEN, Decryptor, Encryptor, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN, TAG_LEN,
};
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind};

const RUN_CHUNKS: usize = 16;

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
        match what {
            What::Sealing => timed(|| self.seal_raw()),
            What::Copy => timed(|| {
                self.opened.copy_from_slice(&self.plain);
                Ok(())
            }),
            What::Encrypt => {
                let encryptor = self.envelope.encryptor(EncryptionContext::new()).await?;
                timed(|| self.encrypt(encryptor, threads))
            }
            What::Decrypt => {
                let header = Header::decode(&self.message)?;
                let body = header.bound().body_offset();
                let preamble =
                    self.message[body..].first_chunk::<PREAMBLE_LEN>().ok_or_else(incomplete)?;
                let decryptor =
                    self.envelope.decryptor(&header, preamble, &DecryptPolicy::new()).await?;
                timed(|| self.decrypt(decryptor, body + PREAMBLE_LEN, threads))
            }
        }
    }

    /// The primitive on the same memory in pieces of a chunk, without any format around it.
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

    fn encrypt(&mut self, mut encryptor: Encryptor, threads: usize) -> Result<(), Error> {
        if threads == 1 {
            let progress = encryptor.update(&self.plain, &mut self.sealed)?;
            return encryptor.finish(&mut self.sealed[progress.written..]).map(drop);
        }
        let (_, runs) = encryptor.into_runs(MEMORY_LEN as u64)?;
        let mut rest = &mut self.sealed[..];
        let mut jobs = Vec::new();
        while let Some(claim) = runs.claim(RUN_CHUNKS as u64) {
            let (from, to) = (claim.plaintext_range(), claim.sealed_range());
            let (out, behind) = rest.split_at_mut((to.end - to.start) as usize);
            rest = behind;
            jobs.push((claim, &self.plain[from.start as usize..from.end as usize], out));
        }
        on_threads(jobs, threads, |(claim, plain, out)| claim.seal(plain, out))?;
        runs.finish()
    }

    fn decrypt(
        &mut self,
        mut decryptor: Decryptor,
        start: usize,
        threads: usize,
    ) -> Result<(), Error> {
        let chunks = &self.message[start..];
        if threads == 1 {
            let progress = decryptor.update(chunks, &mut self.opened)?;
            return decryptor.finish(&mut self.opened[progress.written..]).map(drop);
        }
        let range = decryptor.into_range();
        let mut outs = self.opened.chunks_mut(RUN_CHUNKS * CHUNK_LEN);
        let runs = (0..).step_by(RUN_CHUNKS).zip(chunks.chunks(RUN_CHUNKS * SEALED_CHUNK_LEN));
        // The last chunk has no plaintext here.
        let jobs =
            runs.map(|(first, sealed)| (first, sealed, outs.next().unwrap_or_default())).collect();
        on_threads(jobs, threads, |(first, sealed, out)| range.open(first, sealed, out).map(drop))
    }
}

/// Runs `work`, which takes long, on another thread, so that a signal can end the command.
async fn beside<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Handle::current();
    blocking(move || runtime.block_on(work)).await?.map_err(Failure::writing)
}

/// Runs every job, on this many threads.
fn on_threads<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    work: impl Fn(J) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let mut shares: Vec<Vec<J>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, job) in jobs.into_iter().enumerate() {
        shares[index % threads].push(job);
    }
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().try_for_each(work)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(incomplete())))
    })
}

fn incomplete() -> Error {
    Error::new(ErrorKind::Internal, "a measurement did not finish")
}
