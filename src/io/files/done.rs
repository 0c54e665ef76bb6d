//! Whether an output is there from an earlier run.

use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::{Header, range};
use crate::io::source::SourceFile;
use crate::policy::EncryptOptions;
use std::fs::{File, Metadata};
use std::path::Path;

/// Whether `target`, where `there` is, is what `envelope` writes for `source` with `options`, as
/// far as its front and its metadata tell. An error if it cannot be opened.
pub(super) fn is_encrypted(
    source: &SourceFile,
    target: &Path,
    there: Option<&Metadata>,
    envelope: &Envelope,
    options: &EncryptOptions,
) -> Result<bool> {
    let Some(there) = of_the_same_time(source, there) else { return Ok(false) };
    let file = File::open(target)
        .map_err(|error| Error::io(format_args!("cannot open {}", target.display()), error))?;
    // Something else, or not even a whole header.
    let Ok(header) = Header::read_from(file) else { return Ok(false) };
    let bound = header.bound();
    let body_len = source.len().and_then(|len| range::body_len(len).ok());
    let len = body_len.map(|len| len + bound.body_offset() as u64);
    Ok(len == Some(there.len())
        && *bound.context() == options.context
        && bound.layout() == options.layout
        && bound.requires_aad() != options.aad.is_empty()
        && envelope.is_for_same_recipients(&header))
}

/// Whether `there` can be the plaintext of the message in `source`, whose header that is.
pub(super) fn is_decrypted(source: &SourceFile, there: Option<&Metadata>, header: &Header) -> bool {
    let body_offset = header.bound().body_offset() as u64;
    let body_len = source.len().and_then(|len| len.checked_sub(body_offset));
    let len = body_len.and_then(|len| range::plaintext_len(len).ok());
    len.is_some() && of_the_same_time(source, there).is_some_and(|there| len == Some(there.len()))
}

fn of_the_same_time<'a>(source: &SourceFile, there: Option<&'a Metadata>) -> Option<&'a Metadata> {
    there.filter(|there| there.is_file() && source.is_of_the_time_of(there))
}
