//! The contract of [`KeyWrapper`] as a check, for the tests of an implementation.
//!
//! ```
//! use ncp_envelope::blocking::wait;
//! use ncp_envelope::{DataKey, LocalKeyWrapper, wrap::conformance};
//!
//! let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
//! assert!(wait(conformance::check(&wrapper))?.is_ok());
//! # Ok::<(), ncp_envelope::Error>(())
//! ```

use super::{KeyPayload, KeyWrapper, MAX_WRAPPED_LEN, PAYLOAD_LEN};
use crate::error::{Error, ErrorKind, Result};

/// Checks that `wrapper` keeps the contract of [`KeyWrapper`]; the first violation is the error.
/// Makes about ten calls, the largest with 256 payloads of 80 bytes, the crate's own largest batch.
///
/// ```
/// # use ncp_envelope::{DataKey, LocalKeyWrapper, wrap::conformance};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// rt.block_on(conformance::check(&wrapper))?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Internal`] with the violated rule, or the error of a call that should have
/// succeeded.
pub async fn check(wrapper: &dyn KeyWrapper) -> Result<()> {
    expect(
        wrapper.wrap_keys(&[]).await?.is_empty(),
        "wrapping an empty batch gives an empty result",
    )?;
    expect(
        wrapper.unwrap_keys(&[]).await?.is_empty(),
        "unwrapping an empty batch gives an empty result",
    )?;
    expect(
        wrapper.rewrap_keys(&[]).await?.is_empty(),
        "rewrapping an empty batch gives an empty result",
    )?;

    for size in [1, 2, 256] {
        round_trip(wrapper, size).await?;
    }
    one_bad_key_fails_the_batch(wrapper).await?;
    debug_shows_no_payload(wrapper).await
}

async fn round_trip(wrapper: &dyn KeyWrapper, size: usize) -> Result<()> {
    let payloads = payloads(size)?;
    let wrapped = wrapper.wrap_keys(&payloads).await?;
    expect(wrapped.len() == size, "one wrapped key for each payload")?;
    for (key, payload) in wrapped.iter().zip(&payloads) {
        expect(key.key_id() == wrapper.key_id(), "wrapped under the wrapper's own key")?;
        expect(key.as_bytes().len() <= MAX_WRAPPED_LEN, "a wrapped key fits a slot")?;
        let secret = &payload.expose_secret()[48..];
        expect(
            !key.as_bytes().windows(secret.len()).any(|window| window == secret),
            "a wrapped key hides its payload",
        )?;
    }
    let again = wrapper.wrap_keys(&payloads[..1]).await?;
    expect(
        again.first().map(|key| key.as_bytes()) != wrapped.first().map(|key| key.as_bytes()),
        "wrapping twice differs",
    )?;

    same(
        &wrapper.unwrap_keys(&wrapped).await?,
        &payloads,
        "unwrapping gives back the payloads in their order",
    )?;
    let rewrapped = wrapper.rewrap_keys(&wrapped).await?;
    same(
        &wrapper.unwrap_keys(&rewrapped).await?,
        &payloads,
        "rewrapping keeps the payloads and their order",
    )
}

async fn one_bad_key_fails_the_batch(wrapper: &dyn KeyWrapper) -> Result<()> {
    let mut wrapped = wrapper.wrap_keys(&payloads(3)?).await?;
    let mut bytes = wrapped[1].as_bytes().to_vec();
    if let Some(byte) = bytes.len().checked_sub(10).and_then(|at| bytes.get_mut(at)) {
        // Still base64 where the wrapped key is text, and another ciphertext in any case.
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    wrapped[1] = super::WrappedKey::new(wrapped[1].key_id().clone(), bytes)?;
    expect(wrapper.unwrap_keys(&wrapped).await.is_err(), "a changed wrapped key fails its batch")?;
    expect(
        wrapper.rewrap_keys(&wrapped).await.is_err(),
        "a changed wrapped key fails its batch of rewraps",
    )
}

async fn debug_shows_no_payload(wrapper: &dyn KeyWrapper) -> Result<()> {
    let payloads = [KeyPayload::copy_from(b"CANARY-CANARY-CANARY")];
    let wrapped = wrapper.wrap_keys(&payloads).await?;
    let shown = format!("{wrapper:?} {payloads:?} {wrapped:?}");
    expect(!shown.contains("CANARY"), "Debug output shows no payload")
}

fn payloads(count: usize) -> Result<Vec<KeyPayload>> {
    (0..count)
        .map(|_| {
            let mut bytes: Box<[u8]> = Box::new([0; PAYLOAD_LEN]);
            crate::secret::random(&mut bytes)?;
            Ok(KeyPayload::from_boxed(bytes))
        })
        .collect()
}

fn same(got: &[KeyPayload], want: &[KeyPayload], promise: &'static str) -> Result<()> {
    let equal = got.len() == want.len()
        && got.iter().zip(want).all(|(a, b)| a.expose_secret() == b.expose_secret());
    expect(equal, promise)
}

fn expect(holds: bool, promise: &'static str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Internal, format!("key wrapper breaks its contract: {promise}")))
    }
}
