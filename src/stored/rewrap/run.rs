//! Files, calls and files again.

use super::job::Job;
use super::options::RewrapOptions;
use super::report::{Outcome, RewrapReport};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{both, offload};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

impl Envelope {
    /// Moves the key slots of the messages in these files to the newest version of the key that
    /// each is under. No data key is unwrapped, and no body read: up to 256 slots go through one
    /// call of [`rewrap_keys`](Self::rewrap_keys), and are then written as
    /// [`StoredMessage::replace`](crate::stored::StoredMessage::replace) does it.
    ///
    /// `paths` is iterated lazily, on a thread that may block. Once an answer has told which
    /// version is the newest, files whose slots have it cost no call. Slots under other keys are
    /// unchanged. Dropping the future ends the run after the files that are being written.
    ///
    /// A rewrapped message still opens with a copy of its old slots until the old version is
    /// disabled: see [`stored::audit`](crate::stored::audit()) for what depends on it.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::stored::RewrapOptions;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new()).await?)?;
    /// let files = std::fs::read_dir(directory.path())?;
    /// let paths: Vec<_> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    /// let report = envelope.rewrap_files(paths, &RewrapOptions::new()).await?;
    /// assert_eq!((report.rewrapped, report.failed), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Each file has its own, in the report. As a whole:
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file that is not a checkpoint or one
    /// of another key, and [`Io`](crate::ErrorKind::Io) if it cannot be opened.
    pub async fn rewrap_files<I>(&self, paths: I, options: &RewrapOptions) -> Result<RewrapReport>
    where
        I: IntoIterator<Item = PathBuf>,
        I::IntoIter: Send + 'static,
    {
        let (paths, envelope, options) =
            (Box::new(paths.into_iter()), self.clone(), options.clone());
        let (mut job, mut array) = offload(move |cancelled| {
            let mut job = Job::new(envelope, paths, options)?;
            let array = job.gather(&cancelled)?;
            Ok((job, array))
        })
        .await?;
        while !array.slots.is_empty() && job.report.stopped.is_none() {
            let call = self.rewrap_keys(&array.slots);
            let (answers, ahead) = if job.knows_versions() {
                let gather = offload(move |cancelled| {
                    let ahead = job.gather(&cancelled)?;
                    Ok((job, Some(ahead)))
                });
                let (answers, gathered) = both(call, gather).await;
                let ahead;
                (job, ahead) = gathered?;
                (answers, ahead)
            } else {
                (call.await, None)
            };
            (job, array) = offload(move |cancelled| {
                job.write(array, answers, &cancelled)?;
                let next = match ahead {
                    Some(ahead) if !ahead.slots.is_empty() => ahead,
                    // Also for files that somebody else wrote to meanwhile.
                    _ if job.report.stopped.is_none() => job.gather(&cancelled)?,
                    _ => Default::default(),
                };
                Ok((job, next))
            })
            .await?;
        }
        Ok(job.report)
    }

    /// As [`rewrap_files`](Self::rewrap_files), for one file. The outcome is
    /// [`Rewrapped`](Outcome::Rewrapped), [`Newest`](Outcome::Newest) or
    /// [`LeftOut`](Outcome::LeftOut).
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new()).await?)?;
    /// let outcome = envelope.rewrap_file(&path, &RewrapOptions::new()).await?;
    /// assert!(matches!(outcome, Outcome::Rewrapped { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`rewrap_files`](Self::rewrap_files), those of the wrapper and of
    /// [`StoredMessage::replace`](crate::stored::StoredMessage::replace), and
    /// [`KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed) if no slot is under a key of this
    /// envelope.
    pub async fn rewrap_file(
        &self,
        path: impl Into<PathBuf>,
        options: &RewrapOptions,
    ) -> Result<Outcome> {
        let path = path.into();
        let name = path.display().to_string();
        let seen = Arc::new(Mutex::new(None));
        let (told, tell) = (seen.clone(), options.tell.clone());
        let options = options.clone().on_each(move |path, outcome| {
            if let Some(tell) = &tell {
                tell(path, outcome);
            }
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
        });
        let report = self.rewrap_files([path], &options).await?;
        if let Some(error) = report.stopped {
            return Err(error);
        }
        let outcome = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match outcome {
            Some(Outcome::Failed(error) | Outcome::NotAMessage(error)) => Err(error),
            Some(Outcome::OtherKey) => Err(Error::new(
                ErrorKind::KeyNotAllowed,
                format!("{name}: message has no key slot under a key of this envelope"),
            )),
            Some(outcome) => Ok(outcome),
            None => Err(Error::new(ErrorKind::Internal, "the file was passed over")),
        }
    }
}
