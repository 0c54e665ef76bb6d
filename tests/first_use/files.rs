//! Files and streams.

use crate::{Anything, envelope};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ncp_envelope::format::Header;
use ncp_envelope::io::{AsyncAtomicFile, FileOptions};
use ncp_envelope::{DecryptPolicy, Result};
use std::fs::{self, File};
use std::io::Read;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_file_and_back() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let envelope = envelope()?;
    fs::write(path("report.pdf"), b"hello")?;
    envelope.encrypt_file(path("report.pdf"), path("report.ncpe"), [("kind", "report")]).await?;
    envelope.verify_file(path("report.ncpe"), [("kind", "report")]).await?;
    envelope.decrypt_file(path("report.ncpe"), path("copy.pdf"), [("kind", "report")]).await?;
    assert_eq!(fs::read(path("copy.pdf"))?, b"hello");
    Ok(())
}

#[tokio::test]
async fn a_writer() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log.ncpe");
    let envelope = envelope()?;
    let mut writer = envelope.writer(File::create(&path)?, [("kind", "log")]).await?;
    std::io::copy(&mut &b"line\n".repeat(10_000)[..], &mut writer)?;
    writer.finish()?.sync_all()?;
    let opened = envelope.decrypt(fs::read(&path)?, DecryptPolicy::new()).await?;
    assert_eq!(opened.len(), 50_000);
    Ok(())
}

#[tokio::test]
async fn a_reader_of_a_file() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log.ncpe");
    let envelope = envelope()?;
    fs::write(&path, envelope.encrypt(b"line\n".repeat(10_000), [("kind", "log")]).await?)?;
    let mut reader = envelope.reader(File::open(&path)?, [("kind", "log")]).await?;
    assert_eq!(reader.context().get("kind"), Some("log"));
    assert_eq!(reader.plaintext_len(), None, "not proven yet");
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    assert_eq!((text.lines().count(), reader.plaintext_len()), (10_000, Some(50_000)));
    Ok(())
}

#[tokio::test]
async fn a_header_of_a_file() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log.ncpe");
    let envelope = envelope()?;
    fs::write(&path, envelope.encrypt("line", [("kind", "log")]).await?)?;
    let header = Header::read_from(File::open(&path)?)?;
    assert_eq!(header.bound().context().get("kind"), Some("log"));
    assert_eq!(header.slots().slots()[0].key_id(), envelope.key_id());
    Ok(())
}

#[tokio::test]
async fn files_of_tokio() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log.ncpe");
    let envelope = envelope()?;
    let file = tokio::fs::File::create(&path).await?;
    let mut writer = envelope.async_writer(file, [("kind", "log")]).await?;
    writer.write_all(b"line").await?;
    writer.shutdown().await?;
    let file = tokio::fs::File::open(&path).await?;
    let mut text = String::new();
    envelope.async_reader(file, DecryptPolicy::new()).await?.read_to_string(&mut text).await?;
    assert_eq!(text, "line");
    Ok(())
}

#[tokio::test]
async fn an_upload_that_appears_whole() -> Anything {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("upload.ncpe");
    let envelope = envelope()?;
    let file = AsyncAtomicFile::create(&path, &FileOptions::new()).await?;
    let mut writer = envelope.async_writer(file, [("kind", "upload")]).await?;
    writer.write_all(b"half").await?;
    assert!(!path.exists());
    writer.finish().await?.commit().await?;
    assert_eq!(envelope.decrypt(fs::read(&path)?, [("kind", "upload")]).await?, "half");
    Ok(())
}

// As the body of a request comes, and as that of an answer is given.
#[tokio::test]
async fn streams_of_bytes() -> Anything {
    let envelope = envelope()?;
    let body = stream::iter(["he", "llo"].map(|part| std::io::Result::Ok(Bytes::from(part))));
    let sealed = envelope.encrypt_bytes(body, [("kind", "upload")]).await?;
    let parts: Vec<Result<Bytes>> = sealed.collect().await;
    let opened = envelope.decrypt_bytes(stream::iter(parts), [("kind", "upload")]).await?;
    let parts: Vec<Bytes> = opened.try_collect().await?;
    assert_eq!(parts.concat(), b"hello");
    Ok(())
}

#[tokio::test]
async fn a_body_read_from_a_file() -> Anything {
    let envelope = envelope()?;
    let mut message = Vec::new();
    let mut reader = envelope.async_encrypt_reader(&b"hello"[..], [("kind", "upload")]).await?;
    reader.read_to_end(&mut message).await?;
    assert_eq!(envelope.decrypt(&message, [("kind", "upload")]).await?, "hello");
    Ok(())
}
