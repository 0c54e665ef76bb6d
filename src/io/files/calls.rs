//! The calls of an envelope on many files.

use super::gather::Pairs;
use super::options::FilesOptions;
use super::report::FilesReport;
use super::run::run;
use super::shared::Task;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use std::path::PathBuf;

impl Envelope {
    /// Encrypts many files, each source of `pairs` into the new file that is its target, as
    /// [`encrypt_file_with`](Self::encrypt_file_with) does. Up to 256 data keys go through one call
    /// to the key service.
    ///
    /// `pairs` is iterated lazily, on a thread that may block. A file that fails stops no other
    /// file. The call ends early, and says so in the report, when the next file could not go
    /// better: the key service is unreachable or refuses to wrap, or the disk is full. Dropping the
    /// future cancels it; outputs that have their names stay, and no other.
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # std::fs::write(path("a.txt"), "one")?;
    /// # std::fs::write(path("b.txt"), "two")?;
    /// let pairs = ["a.txt", "b.txt"].map(|name| (path(name), path(name).with_extension("ncpe")));
    /// let how = FilesOptions::new();
    /// let report = envelope.encrypt_files(pairs, [("kind", "backup")], &how).await?.check()?;
    /// assert_eq!((report.done, envelope.stats().wrap.calls), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Each file has its own, in the report. As a whole:
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for options that contradict each other.
    pub async fn encrypt_files<S, T, I>(
        &self,
        pairs: I,
        options: impl ToEncryptOptions,
        how: &FilesOptions,
    ) -> Result<FilesReport>
    where
        S: Into<PathBuf>,
        T: Into<PathBuf>,
        I: IntoIterator<Item = (S, T)>,
        I::IntoIter: Send + 'static,
    {
        how.each.check()?;
        let task = Task::Encrypt(options.to_options()?.into_owned());
        run(self, named(pairs), task, how).await
    }

    /// Decrypts many files, each source of `pairs` into the new file that is its target, as
    /// [`decrypt_file_with`](Self::decrypt_file_with) does. Up to 256 data keys go through one call
    /// to the key service.
    ///
    /// Otherwise as [`encrypt_files`](Self::encrypt_files); a key that the service refuses to
    /// unwrap fails the files that need it, and stops no others.
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let none = EncryptionContext::new();
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", &none)?)?;
    /// std::fs::write(path("b.ncpe"), "something else")?;
    /// let pairs = ["a", "b"].map(|name| (path(name).with_extension("ncpe"), path(name)));
    /// let report = envelope.decrypt_files(pairs, &none, &FilesOptions::new())?;
    /// assert_eq!((report.done, report.failed), (1, 1));
    /// assert_eq!(std::fs::read(path("a"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`encrypt_files`](Self::encrypt_files).
    pub async fn decrypt_files<S, T, I>(
        &self,
        pairs: I,
        policy: impl ToDecryptPolicy,
        how: &FilesOptions,
    ) -> Result<FilesReport>
    where
        S: Into<PathBuf>,
        T: Into<PathBuf>,
        I: IntoIterator<Item = (S, T)>,
        I::IntoIter: Send + 'static,
    {
        how.each.check()?;
        let task = Task::Decrypt(policy.to_policy()?.into_owned());
        run(self, named(pairs), task, how).await
    }

    /// Verifies the whole messages in many files without writing their plaintext anywhere, as
    /// [`verify_file_with`](Self::verify_file_with) does. Otherwise as
    /// [`decrypt_files`](Self::decrypt_files).
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let mut message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// std::fs::write(path("good"), &message)?;
    /// message.pop();
    /// std::fs::write(path("cut"), &message)?;
    /// let sources = [path("good"), path("cut")];
    /// let report = envelope.verify_files(sources, DecryptPolicy::new(), &FilesOptions::new())?;
    /// assert_eq!((report.done, report.failed), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`decrypt_files`](Self::decrypt_files).
    pub async fn verify_files<S, I>(
        &self,
        sources: I,
        policy: impl ToDecryptPolicy,
        how: &FilesOptions,
    ) -> Result<FilesReport>
    where
        S: Into<PathBuf>,
        I: IntoIterator<Item = S>,
        I::IntoIter: Send + 'static,
    {
        let task = Task::Decrypt(policy.to_policy()?.into_owned());
        let sources = sources.into_iter().map(|source| (source.into(), None));
        run(self, Box::new(sources), task, how).await
    }
}

fn named<S, T, I>(pairs: I) -> Box<Pairs>
where
    S: Into<PathBuf>,
    T: Into<PathBuf>,
    I: IntoIterator<Item = (S, T)>,
    I::IntoIter: Send + 'static,
{
    Box::new(pairs.into_iter().map(|(source, target)| (source.into(), Some(target.into()))))
}
