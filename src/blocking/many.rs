//! Many files.

use crate::blocking::{BlockingEnvelope, wait};
use crate::error::Result;
use crate::io::{FilesOptions, FilesReport};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use std::path::PathBuf;

impl BlockingEnvelope {
    /// As [`Envelope::encrypt_files`](crate::Envelope::encrypt_files).
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.txt"), "hello")?;
    /// let (pairs, none) = ([(path("a.txt"), path("a.ncpe"))], EncryptionContext::new());
    /// let report = envelope.encrypt_files(pairs, none, &FilesOptions::new())?.check()?;
    /// assert_eq!((report.done, report.bytes_read), (1, 5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_files<S, T, I>(
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
        wait(self.0.encrypt_files(pairs, options, how))?
    }

    /// As [`Envelope::decrypt_files`](crate::Envelope::decrypt_files).
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let pairs = [(path("a.ncpe"), path("a.txt"))];
    /// let report = envelope.decrypt_files(pairs, DecryptPolicy::new(), &FilesOptions::new())?;
    /// assert_eq!(report.check()?.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_files<S, T, I>(
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
        wait(self.0.decrypt_files(pairs, policy, how))?
    }

    /// As [`Envelope::verify_files`](crate::Envelope::verify_files).
    ///
    /// ```
    /// use ncp_envelope::io::FilesOptions;
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let how = FilesOptions::new();
    /// let report = envelope.verify_files([path("a.ncpe")], DecryptPolicy::new(), &how)?;
    /// assert_eq!(report.check()?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn verify_files<S, I>(
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
        wait(self.0.verify_files(sources, policy, how))?
    }
}
