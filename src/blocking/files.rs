//! Whole files, and messages that are stored in files.

use crate::blocking::{BlockingEnvelope, wait};
use crate::error::Result;
use crate::io::{FileOptions, FileReport};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use crate::stored::{Outcome, RekeyOptions, RewrapOptions, RewrapReport, SlotChange, SlotsChanged};
use std::path::{Path, PathBuf};

impl BlockingEnvelope {
    /// As [`Envelope::encrypt_file`](crate::Envelope::encrypt_file).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.txt"), "hello")?;
    /// let none = EncryptionContext::new();
    /// let report = envelope.encrypt_file(path("a.txt"), path("a.ncpe"), none)?;
    /// assert_eq!(report.bytes_read, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
    ) -> Result<FileReport> {
        wait(self.0.encrypt_file(source, target, options))?
    }

    /// As [`Envelope::encrypt_file_with`](crate::Envelope::encrypt_file_with).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.txt"), "hello")?;
    /// let (options, none) = (FileOptions::new().threads(1), EncryptionContext::new());
    /// envelope.encrypt_file_with(path("a.txt"), path("a.ncpe"), none, &options)?;
    /// assert!(path("a.ncpe").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.encrypt_file_with(source, target, options, file_options))?
    }

    /// As [`Envelope::decrypt_file`](crate::Envelope::decrypt_file).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// envelope.decrypt_file(path("a.ncpe"), path("a.txt"), DecryptPolicy::new())?;
    /// assert_eq!(std::fs::read(path("a.txt"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        wait(self.0.decrypt_file(source, target, policy))?
    }

    /// As [`Envelope::decrypt_file_with`](crate::Envelope::decrypt_file_with).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("new", EncryptionContext::new())?)?;
    /// std::fs::write(path("a.txt"), "old")?;
    /// let (options, policy) = (FileOptions::new().overwrite(true), DecryptPolicy::new());
    /// envelope.decrypt_file_with(path("a.ncpe"), path("a.txt"), policy, &options)?;
    /// assert_eq!(std::fs::read(path("a.txt"))?, b"new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.decrypt_file_with(source, target, policy, file_options))?
    }

    /// As [`Envelope::rewrap_files`](crate::Envelope::rewrap_files).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::RewrapOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.rewrap_files([path("a.ncpe")], &RewrapOptions::new())?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rewrap_files<I>(&self, paths: I, options: &RewrapOptions) -> Result<RewrapReport>
    where
        I: IntoIterator<Item = PathBuf>,
        I::IntoIter: Send + 'static,
    {
        wait(self.0.rewrap_files(paths, options))?
    }

    /// As [`Envelope::rewrap_file`](crate::Envelope::rewrap_file).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::{Outcome, RewrapOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let outcome = envelope.rewrap_file(path("a.ncpe"), &RewrapOptions::new())?;
    /// assert!(matches!(outcome, Outcome::Rewrapped { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rewrap_file(
        &self,
        path: impl Into<PathBuf>,
        options: &RewrapOptions,
    ) -> Result<Outcome> {
        wait(self.0.rewrap_file(path, options))?
    }

    /// As [`Envelope::change_slots`](crate::Envelope::change_slots).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::{SlotChange, SlotsChanged};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let policy = DecryptPolicy::new();
    /// // It has a slot for every key of the envelope.
    /// let changed = envelope.change_slots(path("a.ncpe"), &policy, &SlotChange::new())?;
    /// assert_eq!(changed, SlotsChanged::Already);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn change_slots(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        change: &SlotChange,
    ) -> Result<SlotsChanged> {
        wait(self.0.change_slots(path, policy, change))?
    }

    /// As [`Envelope::rekey_file`](crate::Envelope::rekey_file).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::RekeyOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// envelope.rekey_file(path("a.ncpe"), DecryptPolicy::new(), &RekeyOptions::new())?;
    /// let message = std::fs::read(path("a.ncpe"))?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rekey_file(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        options: &RekeyOptions,
    ) -> Result<FileReport> {
        wait(self.0.rekey_file(path, policy, options))?
    }

    /// As [`Envelope::verify_file`](crate::Envelope::verify_file).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.verify_file(path("a.ncpe"), DecryptPolicy::new())?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn verify_file(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        wait(self.0.verify_file(source, policy))?
    }

    /// As [`Envelope::verify_file_with`](crate::Envelope::verify_file_with).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = FileOptions::new().progress(|done, of| println!("{done} of {of:?}"));
    /// envelope.verify_file_with(path("a.ncpe"), DecryptPolicy::new(), &options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn verify_file_with(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.verify_file_with(source, policy, file_options))?
    }
}
