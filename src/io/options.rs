//! How files are written.

use crate::error::{Error, ErrorKind, Result};
use crate::output::Settings;
use std::fmt;
use std::sync::Arc;

/// Called with the bytes read so far and the length of the input, if it has one.
pub(super) type ProgressFn = dyn Fn(u64, Option<u64>) + Send + Sync;

/// How to write the output file.
///
/// ```
/// # use ncp_envelope::io::FileOptions;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # let sealed = directory.path().join("report.sealed");
/// # std::fs::write(&path, "hello")?;
/// let options = FileOptions::new().overwrite(true).mode(0o600).threads(2);
/// envelope.encrypt_file_with(&path, &sealed, EncryptionContext::new(), &options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct FileOptions {
    pub(super) overwrite: bool,
    no_sync: bool,
    mode: Option<u32>,
    max_mode: Option<u32>,
    no_holes: bool,
    keep_time: bool,
    refuse_links: bool,
    pub(super) remove_source: bool,
    pub(super) allow_changing: bool,
    pub(super) threads: usize,
    pub(super) progress: Option<Arc<ProgressFn>>,
}

impl FileOptions {
    /// The defaults: refuses a target that exists, and syncs.
    ///
    /// ```
    /// # use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// std::fs::write(&path, "there already")?;
    /// assert!(AtomicFile::create(&path, &FileOptions::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces an existing target, atomically and only once the output is complete.
    ///
    /// ```
    /// # use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// std::fs::write(&path, "old")?;
    /// AtomicFile::create(&path, &FileOptions::new().overwrite(true))?.commit()?;
    /// assert_eq!(std::fs::read(&path)?, b"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Whether to sync the output to the disk before it gets its name (the default). Otherwise a
    /// power cut may leave a file with the right name and missing content, as after any copy.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// let fast = FileOptions::new().sync(false);
    /// assert!(format!("{fast:?}").contains("sync: false"));
    /// ```
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.no_sync = !sync;
        self
    }

    /// Gives the output exactly this mode on Unix, such as `0o600`, regardless of the source, the
    /// umask and a replaced file.
    ///
    /// Otherwise the output of a file call has the permissions of its source, less the umask; one
    /// decrypted from a pipe has 0600. A replaced file keeps its own permissions where they are
    /// narrower, and its owner if that is permitted.
    ///
    /// ```
    /// # use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # #[cfg(unix)] {
    /// # use std::os::unix::fs::PermissionsExt;
    /// AtomicFile::create(&path, &FileOptions::new().mode(0o640))?.commit()?;
    /// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o640);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Gives the output at most these permissions on Unix.
    ///
    /// ```
    /// # use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # #[cfg(unix)] {
    /// # use std::os::unix::fs::PermissionsExt;
    /// AtomicFile::create(&path, &FileOptions::new().max_mode(0o600))?.commit()?;
    /// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o077, 0);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_mode(mut self, mode: u32) -> Self {
        self.max_mode = Some(self.max_mode.unwrap_or(0o777) & mode);
        self
    }

    /// Whether to accept a source that changes while it is encrypted. Refused by default, as the
    /// message would hold content that the file never had. For logs that grow.
    ///
    /// A source that gets shorter is always refused.
    ///
    /// ```
    /// # use ncp_envelope::io::FileOptions;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let sealed = directory.path().join("report.sealed");
    /// # std::fs::write(&path, "hello")?;
    /// # let none = EncryptionContext::new();
    /// // The log is written to meanwhile.
    /// let options = FileOptions::new().allow_changing(true);
    /// envelope.encrypt_file_with(&path, &sealed, none, &options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow_changing(mut self, allow: bool) -> Self {
        self.allow_changing = allow;
        self
    }

    /// Whether runs of zeros of 16 KiB and more become holes (the default), so that a decrypted
    /// sparse file takes no more space than the original.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// let filled = FileOptions::new().sparse(false);
    /// assert!(format!("{filled:?}").contains("sparse: false"));
    /// ```
    #[must_use]
    pub fn sparse(mut self, sparse: bool) -> Self {
        self.no_holes = !sparse;
        self
    }

    /// Whether the output gets the source's time of last change, as precisely as the system has it.
    /// By default it has the time at which it was written. Without an effect for a source that is
    /// not a regular file.
    ///
    /// ```
    /// # use ncp_envelope::io::FileOptions;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let sealed = directory.path().join("report.sealed");
    /// # std::fs::write(&path, "hello")?;
    /// # let none = EncryptionContext::new();
    /// let long_ago = std::time::SystemTime::UNIX_EPOCH;
    /// std::fs::File::options().write(true).open(&path)?.set_modified(long_ago)?;
    /// let options = FileOptions::new().keep_time(true);
    /// envelope.encrypt_file_with(&path, &sealed, none, &options)?;
    /// assert_eq!(std::fs::metadata(&sealed)?.modified()?, long_ago);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keep_time(mut self, keep: bool) -> Self {
        self.keep_time = keep;
        self
    }

    /// Whether a target that is a symbolic link stands for the file that it points to (the
    /// default). Otherwise it is [`InvalidInput`](crate::ErrorKind::InvalidInput), for trees whose
    /// names somebody else chose. Only the last part of the name counts, not the directories.
    ///
    /// ```
    /// # use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # #[cfg(unix)] {
    /// std::os::unix::fs::symlink("elsewhere", &path)?;
    /// let options = FileOptions::new().overwrite(true);
    /// assert!(AtomicFile::create(&path, &options).is_ok());
    /// assert!(AtomicFile::create(&path, &options.follow_links(false)).is_err());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.refuse_links = !follow;
        self
    }

    /// Whether a file call removes the source once its output is synced and has its name. Only a
    /// regular file is removed, and only while its name still is that of the file that was read; a
    /// symbolic link is refused before anything is written.
    ///
    /// Contradicts [`sync(false)`](Self::sync): such options are
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput).
    ///
    /// ```
    /// # use ncp_envelope::io::FileOptions;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let sealed = directory.path().join("report.sealed");
    /// # std::fs::write(&path, "hello")?;
    /// # let none = EncryptionContext::new();
    /// let options = FileOptions::new().remove_source(true);
    /// envelope.encrypt_file_with(&path, &sealed, &none, &options)?;
    /// assert!(sealed.exists() && !path.exists());
    /// let unsafe_options = options.sync(false);
    /// assert!(envelope.decrypt_file_with(&sealed, &path, &none, &unsafe_options).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn remove_source(mut self, remove: bool) -> Self {
        self.remove_source = remove;
        self
    }

    pub(super) fn syncs(&self) -> bool {
        !self.no_sync
    }

    /// Refuses options that contradict each other.
    pub(super) fn check(&self) -> Result<()> {
        if self.remove_source && self.no_sync {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a source is removed only after its output was synced: allow syncing, or keep it",
            ));
        }
        Ok(())
    }

    /// What an output has to know.
    pub(super) fn output(&self) -> Settings {
        Settings {
            overwrite: self.overwrite,
            no_sync: self.no_sync,
            mode: self.mode,
            max_mode: self.max_mode,
            leave_owner: false,
            keep_mode: false,
            holes: !self.no_holes,
            keep_time: self.keep_time,
            refuse_links: self.refuse_links,
        }
    }

    /// How many threads work on one file, at most 16; 0, the default, means one for each core.
    /// Short files, and input that is not a regular file, are always read by one.
    ///
    /// ```
    /// # use ncp_envelope::io::FileOptions;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let sealed = directory.path().join("report.sealed");
    /// # std::fs::write(&path, "hello")?;
    /// # let none = EncryptionContext::new();
    /// let one_core = FileOptions::new().threads(1);
    /// envelope.encrypt_file_with(&path, &sealed, none, &one_core)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Calls `progress` at least once for each MiB with the bytes read so far and the length of the
    /// input, if it has one. The calls come from any thread, one at a time and in ascending order.
    ///
    /// ```
    /// # use ncp_envelope::io::FileOptions;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let sealed = directory.path().join("report.sealed");
    /// # std::fs::write(&path, "hello")?;
    /// # let none = EncryptionContext::new();
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// let seen = Arc::new(AtomicU64::new(0));
    /// let bar = seen.clone();
    /// let progress = move |done, _of| bar.store(done, Ordering::Relaxed);
    /// let options = FileOptions::new().progress(progress);
    /// envelope.encrypt_file_with(&path, &sealed, none, &options)?;
    /// assert_eq!(seen.load(Ordering::Relaxed), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for FileOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileOptions")
            .field("overwrite", &self.overwrite)
            .field("sync", &!self.no_sync)
            .field("mode", &self.mode)
            .field("max_mode", &self.max_mode)
            .field("allow_changing", &self.allow_changing)
            .field("sparse", &!self.no_holes)
            .field("keep_time", &self.keep_time)
            .field("follow_links", &!self.refuse_links)
            .field("remove_source", &self.remove_source)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
