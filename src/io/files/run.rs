//! The files of a call, one after the other.

use super::done::{is_decrypted, is_encrypted};
use super::options::{FilesOptions, FilesProgress};
use super::report::{FileDone, FileOutcome, FilesReport};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::format::Header;
use crate::io::offload::offload;
use crate::io::source::SourceFile;
use crate::policy::{DecryptPolicy, EncryptOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Sources, with their targets where there are any.
pub(super) type Pairs = dyn Iterator<Item = (PathBuf, Option<PathBuf>)> + Send;

/// What is to be done with each file.
pub(super) enum Work {
    Encrypt(EncryptOptions),
    Decrypt(DecryptPolicy),
}

pub(super) async fn run(
    envelope: &Envelope,
    mut pairs: Box<Pairs>,
    work: Work,
    how: &FilesOptions,
) -> Result<FilesReport> {
    how.each.check()?;
    let mut report = FilesReport::default();
    let progress = Arc::new(Mutex::new(FilesProgress::default()));
    loop {
        let next;
        (pairs, next) = offload(move |_| {
            let next = pairs.next();
            Ok((pairs, next))
        })
        .await?;
        let Some((source, target)) = next else { return Ok(report) };
        let (shown, show) = (progress.clone(), how.progress.clone());
        let before = lock(&progress).bytes;
        let each = how.each.clone().progress(move |done, _| {
            let mut all = lock(&shown);
            all.bytes = all.bytes.max(before + done);
            if let Some(show) = &show {
                show(&all);
            }
        });
        if how.skip_done && is_done(envelope, &source, target.as_deref(), &work) {
            report.count(&source, &FileOutcome::AlreadyDone);
            continue;
        }
        let done = match (&work, &target) {
            (Work::Encrypt(options), Some(target)) => {
                envelope.encrypt_file_with(&source, target, options, &each).await
            }
            (Work::Decrypt(policy), Some(target)) => {
                envelope.decrypt_file_with(&source, target, policy, &each).await
            }
            (Work::Decrypt(policy), None) => {
                envelope.verify_file_with(&source, policy, &each).await
            }
            (Work::Encrypt(_), None) => continue,
        };
        let outcome = match done {
            Ok(report) => FileOutcome::Done(report),
            Err(error) => FileOutcome::Failed(error),
        };
        report.count(&source, &outcome);
        {
            let mut all = lock(&progress);
            all.files += 1;
            if let Some(show) = &how.progress {
                show(&all);
            }
        }
        if let Some(tell) = &how.tell {
            tell(&FileDone { source: &source, target: target.as_deref(), outcome: &outcome });
        }
    }
}

fn is_done(envelope: &Envelope, source: &Path, target: Option<&Path>, work: &Work) -> bool {
    let (Some(target), Ok(mut source)) = (target, SourceFile::open(source)) else { return false };
    match work {
        Work::Encrypt(options) => is_encrypted(&source, target, envelope, options),
        Work::Decrypt(_) => Header::read_from(&mut source)
            .is_ok_and(|header| is_decrypted(&source, target, &header)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
