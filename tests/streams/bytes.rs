//! Messages as streams of bytes.

#![cfg(feature = "tokio")]

use crate::common::{block_on, counting_envelope, envelope, sample};
use futures_util::{Stream, StreamExt, stream};
use ncp_envelope::format::Header;
use ncp_envelope::{DecryptPolicy, EncryptionContext, Error, ErrorKind};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Items of a source. Waits before each, and panics if it is polled after its end or its error.
struct Items<T> {
    items: std::vec::IntoIter<io::Result<T>>,
    ready: bool,
    over: bool,
}

impl<T> Items<T> {
    fn new(items: Vec<io::Result<T>>) -> Self {
        Self { items: items.into_iter(), ready: false, over: false }
    }
}

impl Items<Vec<u8>> {
    fn pieces(bytes: &[u8], piece: usize) -> Self {
        Self::new(bytes.chunks(piece).map(|part| Ok(part.to_vec())).collect())
    }
}

impl<T: Unpin> Stream for Items<T> {
    type Item = io::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        assert!(!self.over, "polled after its end");
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let item = self.items.next();
        self.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

/// All items up to an error; after that and after the end there has to be nothing.
async fn drain<B: AsRef<[u8]>>(
    stream: &mut (impl Stream<Item = Result<B, Error>> + Unpin),
) -> (Vec<u8>, Option<Error>) {
    let (mut all, mut error) = (Vec::new(), None);
    while let Some(item) = stream.next().await {
        assert!(error.is_none(), "an item after an error");
        match item {
            Ok(bytes) => {
                assert!((1..=300_000).contains(&bytes.as_ref().len()), "neither empty nor large");
                all.extend_from_slice(bytes.as_ref());
            }
            Err(found) => error = Some(found),
        }
    }
    assert!(stream.next().await.is_none(), "the end stays the end");
    (all, error)
}

async fn sealed(source: Items<Vec<u8>>) -> Vec<u8> {
    let mut stream = envelope().encrypt_bytes(source, EncryptionContext::new()).await.unwrap();
    let (message, error) = drain(&mut stream).await;
    assert!(error.is_none());
    message
}

/// The plaintext that came out, and the error at its end.
async fn open(source: Items<Vec<u8>>) -> (Vec<u8>, Option<Error>) {
    match envelope().decrypt_bytes(source, &DecryptPolicy::new()).await {
        Ok(mut stream) => drain(&mut stream).await,
        Err(error) => (Vec::new(), Some(error)),
    }
}

async fn message_of(plaintext: &[u8]) -> Vec<u8> {
    envelope().encrypt(plaintext, EncryptionContext::new()).await.unwrap()
}

#[test]
fn every_length_round_trips_in_items_of_any_size() {
    block_on(async {
        for len in [0, 1, 16_383, 16_384, 16_385, 262_143, 262_144, 262_145, (1 << 20) + 7] {
            let plaintext = sample(len);
            for piece in [usize::MAX, 400_000, 16_400, 16_384, 5_000] {
                let message = sealed(Items::pieces(&plaintext, piece)).await;
                let opened = envelope().decrypt(&message, &DecryptPolicy::new()).await.unwrap();
                assert!(opened[..] == plaintext, "{len} in {piece}");
                let (back, error) = open(Items::pieces(&message, piece)).await;
                assert!(back == plaintext && error.is_none(), "{len} in {piece}: {error:?}");
            }
        }
    });
}

#[test]
fn every_split_of_a_short_message_opens() {
    block_on(async {
        let (plaintext, long) = (sample(50), sample(16_384 + 30));
        let message = message_of(&plaintext).await;
        for cut in 0..=message.len() {
            // An empty item in between is no end.
            let parts = [&message[..cut], &[], &message[cut..]];
            let items = parts.into_iter().map(|part| Ok(part.to_vec())).collect();
            let (back, error) = open(Items::new(items)).await;
            assert!(back == plaintext && error.is_none(), "{cut}: {error:?}");
        }
        assert_eq!(open(Items::pieces(&message, 1)).await.0, plaintext);
        for cut in 0..=plaintext.len() {
            let parts = [&plaintext[..cut], &[], &plaintext[cut..]];
            let items = parts.into_iter().map(|part| Ok(part.to_vec())).collect();
            assert_eq!(
                open(Items::pieces(&sealed(Items::new(items)).await, 100)).await.0,
                plaintext
            );
        }
        assert_eq!(open(Items::pieces(&sealed(Items::pieces(&long, 1)).await, 1)).await.0, long);
    });
}

// F-25, F-27
#[test]
fn what_is_cut_or_changed_ends_in_an_error_and_gives_verified_bytes_only() {
    block_on(async {
        let plaintext = sample(40_000);
        let message = message_of(&plaintext).await;
        let body = Header::len_from(&message).unwrap() + 56;
        let places = |len: usize| {
            (0..len).step_by(1_501).chain([body - 1, body, body + 16_399, body + 16_400, len - 1])
        };
        for piece in [usize::MAX, 7_000] {
            for cut in places(message.len()) {
                let (back, error) = open(Items::pieces(&message[..cut], piece)).await;
                let whole = cut.saturating_sub(body) / 16_400 * 16_384;
                assert!(error.is_some() && back == plaintext[..whole], "cut at {cut}: {error:?}");
            }
            for at in places(message.len()) {
                let mut changed = message.clone();
                changed[at] ^= 0x40;
                let (back, error) = open(Items::pieces(&changed, piece)).await;
                let whole = at.saturating_sub(body) / 16_400 * 16_384;
                assert!(
                    error.is_some() && back == plaintext[..whole],
                    "changed at {at}: {error:?}"
                );
            }
            let longer = [&message[..], b"x"].concat();
            let (back, error) = open(Items::pieces(&longer, piece)).await;
            assert!(error.is_some() && back == plaintext[..32_768]);
        }
    });
}

#[test]
fn an_error_of_the_source_is_the_last_item_and_can_be_found() {
    block_on(async {
        let plaintext = sample(40_000);
        let message = message_of(&plaintext).await;
        for before in [100, 30_000] {
            let items = || vec![Ok(message[..before].to_vec()), Err(io::Error::other("no more"))];
            let (back, error) = open(Items::new(items())).await;
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("no more"), "{error}");
            assert!(plaintext.starts_with(&back));

            let source = Items::new(items());
            let mut stream =
                envelope().encrypt_bytes(source, EncryptionContext::new()).await.unwrap();
            let (half, error) = drain(&mut stream).await;
            assert_eq!(error.unwrap().kind(), ErrorKind::Io);
            let error = envelope().decrypt(&half, &DecryptPolicy::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Truncated, "it never becomes a message");
        }
        // A message that is encrypted on the way out of another that is damaged.
        let damaged = Items::pieces(&message[..30_000], 9_000);
        let inner = envelope().decrypt_bytes(damaged, &DecryptPolicy::new()).await.unwrap();
        let mut outer = envelope().encrypt_bytes(inner, EncryptionContext::new()).await.unwrap();
        assert_eq!(drain(&mut outer).await.1.unwrap().kind(), ErrorKind::Authentication);
    });
}

#[test]
fn what_is_dropped_early_stops_and_what_is_not_polled_takes_nothing() {
    block_on(async {
        let (envelope, wrapper) = counting_envelope();
        let message = message_of(&sample(100_000)).await;
        // Would panic if it were polled.
        let source = Items::<Vec<u8>> { items: vec![].into_iter(), ready: false, over: true };
        drop(envelope.encrypt_bytes(source, EncryptionContext::new()).await.unwrap());
        assert_eq!(wrapper.calls(), 1);
        let source = Items::pieces(&message, 20_000);
        let mut stream = envelope.decrypt_bytes(source, &DecryptPolicy::new()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        assert_eq!(stream.plaintext_len(), None);
        drop(stream);
        assert_eq!(wrapper.calls(), 2);

        // Polls that were given up in between lose nothing.
        let source = Items::pieces(&message, 3_000);
        let mut stream = envelope.decrypt_bytes(source, &DecryptPolicy::new()).await.unwrap();
        let mut back = Vec::new();
        loop {
            tokio::select! {
                biased;
                item = stream.next() => match item {
                    Some(item) => back.extend_from_slice(&item.unwrap()),
                    None => break,
                },
                () = std::future::ready(()) => {}
            }
        }
        assert!(back == sample(100_000));
        assert_eq!(stream.plaintext_len(), Some(100_000));
    });
}

#[test]
fn a_refusal_comes_before_the_body_and_before_the_key_service_is_asked() {
    block_on(async {
        let message = message_of(b"hello").await;
        let len = Header::len_from(&message).unwrap();
        let (envelope, wrapper) = counting_envelope();
        let policy = DecryptPolicy::new().require("kind", "note");
        let items = vec![Ok(message[..len].to_vec()), Err(io::Error::other("too far"))];
        let error = envelope.decrypt_bytes(Items::new(items), &policy).await.unwrap_err();
        assert_eq!((error.kind(), wrapper.calls()), (ErrorKind::NotAccepted, 0));
    });
}

#[test]
fn a_busy_stream_of_bytes_lets_other_tasks_run() {
    use std::cell::Cell;
    use std::rc::Rc;
    block_on(tokio::task::LocalSet::new().run_until(async {
        let plaintext = sample(8 << 20);
        let turns = Rc::new(Cell::new(0));
        tokio::task::spawn_local({
            let turns = turns.clone();
            async move {
                loop {
                    turns.set(turns.get() + 1);
                    tokio::task::yield_now().await;
                }
            }
        });
        // 128 chunks are 2 MiB; items without end that fill no chunk count as well.
        for piece in [1 << 20, 4_000] {
            let items = |bytes: &[u8]| {
                let parts = bytes.chunks(piece).map(|part| Ok::<_, Error>(part.to_vec()));
                stream::iter(parts.collect::<Vec<_>>())
            };
            let before = turns.get();
            let source = items(&plaintext);
            let mut sealed =
                envelope().encrypt_bytes(source, EncryptionContext::new()).await.unwrap();
            let (message, error) = drain(&mut sealed).await;
            assert!(error.is_none() && turns.get() >= before + 3, "{}", turns.get() - before);
            let before = turns.get();
            let source = items(&message);
            let mut opened = envelope().decrypt_bytes(source, &DecryptPolicy::new()).await.unwrap();
            assert!(drain(&mut opened).await.0 == plaintext);
            assert!(turns.get() >= before + 3, "{}", turns.get() - before);
        }
    }));
}
