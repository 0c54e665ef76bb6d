//! Whole files, from one name to another.

use super::front::read_file_front;
use super::job::{Job, Way};
use super::offload::{Cancelled, offload};
use super::options::FileOptions;
use super::published::FileReport;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::format::{PREAMBLE_LEN, range};
use crate::policy::{DecryptPolicy, ToDecryptPolicy, ToEncryptOptions};
use std::path::Path;

impl Envelope {
    /// Encrypts the file `source` into the new file `target`, with [`FileOptions::new`].
    ///
    /// The file work runs on a blocking thread within a tokio runtime, and on the calling thread
    /// elsewhere. A regular file of 1 MiB or more is processed by several threads; see
    /// [`FileOptions::threads`]. Dropping the future cancels it and leaves no output.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// std::fs::write(path("report.pdf"), b"hello")?;
    /// let context = [("kind", "report")];
    /// envelope.encrypt_file(path("report.pdf"), path("report.ncpe"), context).await?;
    /// envelope.decrypt_file(path("report.ncpe"), path("copy.pdf"), context).await?;
    /// assert_eq!(std::fs::read(path("copy.pdf"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io), also for a source that changes its length meanwhile;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if source and target are the same file or
    /// the target is not a regular file; those of [`encryptor`](Self::encryptor).
    pub async fn encrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
    ) -> Result<FileReport> {
        self.encrypt_file_with(source, target, options, &FileOptions::new()).await
    }

    /// As [`encrypt_file`](Self::encrypt_file), with `file_options`.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(path("report.pdf"), b"hello")?;
    /// let (from, to, none) = (path("report.pdf"), path("report.ncpe"), EncryptionContext::new());
    /// envelope.encrypt_file(&from, &to, &none)?;
    /// assert!(envelope.encrypt_file(&from, &to, &none).is_err(), "it exists");
    /// envelope.encrypt_file_with(&from, &to, &none, &FileOptions::new().overwrite(true))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn encrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let options = options.to_options()?;
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let file_options = file_options.clone();
        // What can be refused is refused before the key service is called.
        let job = offload(move |cancelled| {
            Job::start(Way::Encrypt, &source, Some(&target), file_options, cancelled)
        })
        .await?;
        let encryptor = self.encryptor(options).await?;
        offload(move |cancelled| job.with(cancelled).encrypt(encryptor)).await
    }

    /// Decrypts the file `source` into the new file `target`, with [`FileOptions::new`]. The target
    /// gets its name only once the whole message is verified.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let mut message = envelope.encrypt("hello", [("kind", "report")])?;
    /// std::fs::write(path("good"), &message)?;
    /// message.pop();
    /// std::fs::write(path("cut"), &message)?;
    /// envelope.decrypt_file(path("good"), path("out"), DecryptPolicy::new())?;
    /// assert_eq!(std::fs::read(path("out"))?, b"hello");
    /// assert!(envelope.decrypt_file(path("cut"), path("none"), DecryptPolicy::new()).is_err());
    /// assert!(!path("none").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`encrypt_file`](Self::encrypt_file) and [`decrypt`](Self::decrypt).
    pub async fn decrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        self.decrypt_file_with(source, target, policy, &FileOptions::new()).await
    }

    /// As [`decrypt_file`](Self::decrypt_file), with `file_options`.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(path("sealed"), envelope.encrypt("new", EncryptionContext::new())?)?;
    /// std::fs::write(path("out"), "old")?;
    /// let options = FileOptions::new().overwrite(true);
    /// let policy = DecryptPolicy::new();
    /// envelope.decrypt_file_with(path("sealed"), path("out"), policy, &options)?;
    /// assert_eq!(std::fs::read(path("out"))?, b"new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn decrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let policy = policy.to_policy()?;
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let file_options = file_options.clone();
        let start = move |cancelled| {
            Job::start(Way::Decrypt, &source, Some(&target), file_options, cancelled)
        };
        self.open_file(start, &policy).await
    }

    /// Verifies the whole message in the file `source` without writing its plaintext anywhere.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let sealed = directory.path().join("f.ncpe");
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(&sealed, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.verify_file(&sealed, DecryptPolicy::new())?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`decrypt_file`](Self::decrypt_file), except those about its target.
    pub async fn verify_file(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        self.verify_file_with(source, policy, &FileOptions::new()).await
    }

    /// As [`verify_file`](Self::verify_file), with the threads and the progress of `file_options`;
    /// its other options have no effect here.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let sealed = directory.path().join("f.ncpe");
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(&sealed, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let one_core = FileOptions::new().threads(1);
    /// let report = envelope.verify_file_with(&sealed, DecryptPolicy::new(), &one_core)?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn verify_file_with(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let policy = policy.to_policy()?;
        let (source, file_options) = (source.as_ref().to_owned(), file_options.clone());
        let start =
            move |cancelled| Job::start(Way::Decrypt, &source, None, file_options, cancelled);
        self.open_file(start, &policy).await
    }

    async fn open_file(
        &self,
        start: impl FnOnce(Cancelled) -> Result<Job> + Send + 'static,
        policy: &DecryptPolicy,
    ) -> Result<FileReport> {
        let (this, admitted) = (self.clone(), policy.clone());
        let (mut job, header, preamble) = offload(move |cancelled| {
            let job = start(cancelled)?;
            let (header, preamble) =
                read_file_front(&job.source, |header| this.admit(header, &admitted))
                    .map_err(|e| job.name(e))?;
            if let Some(len) = job.source.len() {
                range::plaintext_len(len.saturating_sub(header.bound().body_offset() as u64))
                    .map_err(|e| job.name(e))?;
            }
            Ok((job, header, preamble))
        })
        .await?;
        let body = header.bound().body_offset() as u64;
        job.done = body + PREAMBLE_LEN as u64;
        let decryptor =
            self.decryptor(&header, &preamble, policy).await.map_err(|error| job.name(error))?;
        offload(move |cancelled| job.with(cancelled).decrypt(decryptor, body)).await
    }
}
