//! Reading a request's body, up to a limit.

use crate::emulator::answer::{Kind, Refusal};
use axum::body::{Body, HttpBody as _};
use std::future::poll_fn;
use std::pin::Pin;

/// The longest accepted body, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// How much of a longer body is still read and discarded, in bytes. A peer that is cut off while it
/// writes may never see the answer.
const MAX_DISCARD: usize = 8 << 20;

/// The whole body.
pub(crate) async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let announced = body.size_hint().exact().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    let mut out = Vec::with_capacity(announced.min(MAX_BODY));
    let mut len = 0_usize;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::request("body ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        len = len.saturating_add(data.len());
        if len <= MAX_BODY {
            out.extend_from_slice(&data);
        } else if len > MAX_DISCARD {
            break;
        }
    }
    if len > MAX_BODY {
        Err(Refusal::new(Kind::EntityTooLarge, "body is longer than 1 MiB"))
    } else {
        Ok(out)
    }
}
