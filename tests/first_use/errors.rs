//! What a program does with an error.

use crate::{Anything, envelope};
use ncp_envelope::{DecryptPolicy, Error, ErrorKind};
use std::time::Duration;

async fn open(message: &str) -> Result<String, Error> {
    let opened = envelope()?.decrypt(message, DecryptPolicy::new()).await?;
    Ok(opened.into_string()?.to_string())
}

#[tokio::test]
async fn it_decides_on_the_kind() {
    let error = open("not a message").await.unwrap_err();
    let status = match error.kind() {
        ErrorKind::AccessDenied | ErrorKind::KeyNotAllowed => 403,
        kind if kind.is_retryable() => 503,
        _ => 400,
    };
    assert_eq!(status, 400);
    assert_eq!(format!("{}: {error}", error.kind()).split(':').next(), Some("malformed"));
}

#[test]
fn it_tries_again() {
    let error =
        Error::new(ErrorKind::Throttled, "too many calls").with_retry_after(Duration::from_secs(2));
    assert!(error.is_retryable());
    assert_eq!(error.retry_after().unwrap_or(Duration::from_secs(1)), Duration::from_secs(2));
}

#[tokio::test]
async fn it_passes_it_on() -> Anything {
    async fn read() -> std::io::Result<String> {
        Ok(open("not a message").await?)
    }
    async fn serve() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(open("not a message").await?)
    }
    let io = read().await.unwrap_err();
    assert_eq!(io.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(Error::inside(&io).map(|error| error.kind()), Some(ErrorKind::Malformed));
    assert!(serve().await.unwrap_err().downcast_ref::<Error>().is_some());
    Ok(())
}
