//! Files and streams.

use crate::{Anything, envelope};
use ncp_envelope::DecryptPolicy;
use std::fs::{self, File};

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
