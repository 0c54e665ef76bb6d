//! What is left when the output of a file has its name.

use super::source::SourceFile;
use crate::context::EncryptionContext;
use crate::error::{Error, Result};
use crate::output::Settling;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

/// What a file call did.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # let sealed = directory.path().join("report.sealed");
/// # std::fs::write(&path, "hello")?;
/// let report = envelope.encrypt_file(&path, &sealed, [("kind", "report")])?;
/// assert_eq!(report.bytes_read, 5);
/// assert_eq!(report.bytes_written, std::fs::metadata(&sealed)?.len());
/// assert_eq!(report.context.get("kind"), Some("report"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Bytes read from the input.
    pub bytes_read: u64,
    /// Bytes written to the output; for [`verify_file`](crate::Envelope::verify_file) those
    /// that were verified.
    pub bytes_written: u64,
    /// The encryption context of the message; of one that was decrypted or verified, authentic.
    pub context: EncryptionContext,
}

/// A file call that is done up to the sync of the output's directory.
pub(super) struct Published {
    pub(super) report: FileReport,
    /// None for what was only verified.
    pub(super) published: Option<Settling>,
    /// What is to be removed, then.
    pub(super) source: Option<SourceFile>,
}

impl Published {
    pub(super) fn settle(self) -> Result<FileReport> {
        self.settle_with(&mut HashMap::new())
    }

    /// The same; each directory is synced once, and what that gave is in `synced`.
    pub(super) fn settle_with(
        self,
        synced: &mut HashMap<PathBuf, io::Result<()>>,
    ) -> Result<FileReport> {
        if let Some(published) = &self.published {
            published.settle_with(synced)?;
            if let Some(source) = self.source {
                source.remove().map_err(|error| {
                    let target = published.target().display();
                    let text = format!("{error}: {target} is complete, and the source is kept");
                    Error::with_source(error.kind(), text, error)
                })?;
            }
        }
        Ok(self.report)
    }
}
