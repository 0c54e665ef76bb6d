//! Messages as streams of bytes, as web frameworks and HTTP clients have them.
//!
//! Promises: memory is an item of the source and one item of at most 256 KiB, however long the
//! stream is. A stream ends (`None`) only when the message is whole; otherwise an error is the last
//! item. Plaintext is handed out only when it was verified (`F-27`), and wiped when its last owner
//! drops it. The source is not polled again after its end or an error.

use super::turn::{PLAIN_RUN_LEN, poll_turn};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::io::body::Body;
use crate::io::front::Front;
use crate::io::run::SEALED_RUN_LEN;
use crate::io::sealing::Sealing;
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use ::tokio::task::coop::poll_proceed;
use bytes::Bytes;
use futures_core::{Stream, TryStream};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use zeroize::Zeroizing;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Envelope {
    /// Encrypts a stream of bytes into a stream of bytes: the body of a request on its way to a
    /// store, or a file on its way into a request. Calls the key service once, now; nothing is
    /// taken from `source` yet.
    ///
    /// `source` is any `Stream` whose items are results of something with bytes, such as axum's
    /// `Body::into_data_stream()` and reqwest's `Response::bytes_stream()`. The result goes into
    /// `Body::from_stream` and `Body::wrap_stream`.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use futures_util::{TryStreamExt, stream};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let upload = stream::iter([Ok::<_, std::io::Error>("two "), Ok("pieces")]);
    /// let sealed = envelope.encrypt_bytes(upload, EncryptionContext::new()).await?;
    /// let message: Vec<_> = sealed.try_collect().await?;
    /// let opened = envelope.decrypt(&message.concat(), &DecryptPolicy::new()).await?;
    /// assert_eq!(&opened[..], b"two pieces");
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn encrypt_bytes<S>(
        &self,
        source: S,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptBytes<S>>
    where
        S: TryStream,
        S::Ok: AsRef<[u8]>,
        S::Error: Into<BoxError>,
    {
        let encryptor = self.encryptor(options).await?;
        Ok(EncryptBytes {
            source: Source::new(source),
            sealing: Sealing::new(encryptor),
            done: false,
        })
    }

    /// Decrypts the message in a stream of bytes. Takes the header from `source` now, and asks for
    /// the key if `policy` admits it: a refusal is an error here, when a server can still answer
    /// with another status.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use futures_util::{TryStreamExt, stream};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let download = stream::iter(message.chunks(100).map(Ok::<_, std::io::Error>));
    /// let opened = envelope.decrypt_bytes(download, &DecryptPolicy::new()).await?;
    /// let plaintext: Vec<_> = opened.try_collect().await?;
    /// assert_eq!(plaintext.concat(), b"hello");
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), and [`ErrorKind::Io`](crate::ErrorKind::Io) if `source`
    /// fails.
    pub async fn decrypt_bytes<S>(
        &self,
        source: S,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptBytes<S>>
    where
        S: TryStream,
        S::Ok: AsRef<[u8]>,
        S::Error: Into<BoxError>,
    {
        let policy = &*policy.to_policy()?;
        let (mut source, mut front) = (Source::new(source), Front::new());
        loop {
            source.fill_front(&mut front).await?;
            if front.advance(|header| self.admit(header, policy))? {
                break;
            }
        }
        let (header, preamble) = front.finish()?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        Ok(DecryptBytes { source, body: Body::new(decryptor), done: false })
    }
}

/// The message of a stream of bytes, as a stream of bytes; from
/// [`Envelope::encrypt_bytes`].
///
/// If the source fails, the last item is its error, and the items before it do not open. Dropping
/// the stream cancels the work.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use futures_util::{StreamExt, stream};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let upload = stream::iter([Ok("a beginning"), Err("the client hung up")]);
/// let mut sealed = envelope.encrypt_bytes(upload, EncryptionContext::new()).await?;
/// let header = sealed.next().await.unwrap()?;
/// assert_eq!(header[..4], *b"\x8eNCP");
/// assert!(sealed.next().await.unwrap().is_err());
/// assert!(sealed.next().await.is_none());
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
pub struct EncryptBytes<S: TryStream> {
    source: Source<S>,
    sealing: Sealing,
    done: bool,
}

/// The plaintext of a stream of bytes, as a stream of bytes; from
/// [`Envelope::decrypt_bytes`].
///
/// Every item is verified. The message is complete only if the stream ends without an error: a
/// message that was truncated or changed gives an error as the last item. Each item wipes its
/// memory when its last clone is dropped.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// use futures_util::{StreamExt, stream};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let message = envelope.encrypt(&[7; 20_000], EncryptionContext::new()).await?;
/// let cut = stream::iter([Ok::<_, std::io::Error>(&message[..message.len() - 1])]);
/// let mut opened = envelope.decrypt_bytes(cut, &DecryptPolicy::new()).await?;
/// assert_eq!(opened.next().await.unwrap()?.len(), 16_384);
/// assert!(opened.next().await.unwrap().is_err());
/// assert!(opened.next().await.is_none());
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
pub struct DecryptBytes<S: TryStream> {
    source: Source<S>,
    body: Body,
    done: bool,
}

impl<S: TryStream> DecryptBytes<S> {
    /// As [`DecryptReader::context`](crate::io::DecryptReader::context).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use futures_util::stream;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let context = EncryptionContext::new().with("content-type", "image/png")?;
    /// let message = envelope.encrypt(b"pixels", &context).await?;
    /// let download = stream::iter([Ok::<_, std::io::Error>(message)]);
    /// let opened = envelope.decrypt_bytes(download, &DecryptPolicy::new()).await?;
    /// assert_eq!(opened.context().get("content-type"), Some("image/png"));
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        self.body.context()
    }

    /// As [`DecryptReader::plaintext_len`](crate::io::DecryptReader::plaintext_len).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use futures_util::{TryStreamExt, stream};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let download = stream::iter([Ok::<_, std::io::Error>(message)]);
    /// let mut opened = envelope.decrypt_bytes(download, &DecryptPolicy::new()).await?;
    /// while let Some(_bytes) = opened.try_next().await? {}
    /// assert_eq!(opened.plaintext_len(), Some(5));
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    pub fn plaintext_len(&self) -> Option<u64> {
        self.body.plaintext_len()
    }
}

impl<S> Stream for EncryptBytes<S>
where
    S: TryStream,
    S::Ok: AsRef<[u8]>,
    S::Error: Into<BoxError>,
{
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        let result = ready!(this.poll_some(cx));
        this.done |= result.is_err();
        Poll::Ready(result.transpose())
    }
}

impl<S> EncryptBytes<S>
where
    S: TryStream,
    S::Ok: AsRef<[u8]>,
    S::Error: Into<BoxError>,
{
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let front_len = self.sealing.front_len();
        if front_len > 0 {
            let mut front = vec![0; front_len];
            self.sealing.front(&mut front);
            return Poll::Ready(Ok(Some(front.into())));
        }
        loop {
            ready!(self.source.poll_fill(cx))?;
            let input = self.source.rest();
            let input = &input[..input.len().min(PLAIN_RUN_LEN)];
            let turn = ready!(poll_turn(cx, input.len()));
            let mut out = vec![0; self.sealing.step_len(input.len())];
            let progress = self.sealing.step(input, &mut out)?;
            turn.made_progress();
            debug_assert_eq!((progress.consumed, progress.written), (input.len(), out.len()));
            self.done = input.is_empty();
            self.source.consume(progress.consumed);
            if !out.is_empty() {
                return Poll::Ready(Ok(Some(out.into())));
            }
        }
    }
}

impl<S> Stream for DecryptBytes<S>
where
    S: TryStream,
    S::Ok: AsRef<[u8]>,
    S::Error: Into<BoxError>,
{
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        let result = ready!(this.poll_some(cx));
        this.done |= result.is_err();
        Poll::Ready(result.transpose())
    }
}

impl<S> DecryptBytes<S>
where
    S: TryStream,
    S::Ok: AsRef<[u8]>,
    S::Error: Into<BoxError>,
{
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        while !self.body.ended()? {
            ready!(self.source.poll_fill(cx))?;
            let input = self.source.rest();
            let input = &input[..input.len().min(SEALED_RUN_LEN)];
            let turn = ready!(poll_turn(cx, input.len()));
            let mut out = Zeroizing::new(vec![0; self.body.step_len(input.len())]);
            let progress = self.body.step(input, &mut out)?;
            turn.made_progress();
            self.source.consume(progress.consumed);
            if progress.written > 0 {
                out.truncate(progress.written);
                return Poll::Ready(Ok(Some(Bytes::from_owner(out))));
            }
        }
        self.done = true;
        Poll::Ready(Ok(None))
    }
}

/// A stream of bytes, and the item of it that is not used up yet.
struct Source<S: TryStream> {
    stream: Pin<Box<S>>,
    item: Option<S::Ok>,
    at: usize,
    ended: bool,
}

// The item is never pinned.
impl<S: TryStream> Unpin for Source<S> {}

impl<S> Source<S>
where
    S: TryStream,
    S::Ok: AsRef<[u8]>,
    S::Error: Into<BoxError>,
{
    fn new(stream: S) -> Self {
        Self { stream: Box::pin(stream), item: None, at: 0, ended: false }
    }

    /// The bytes that are there. None after [`poll_fill`](Self::poll_fill) mean the end.
    fn rest(&self) -> &[u8] {
        self.item.as_ref().map_or(&[], |item| &item.as_ref()[self.at..])
    }

    /// Waits until there are bytes, or none will come.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.rest().is_empty() && !self.ended {
            self.item = None;
            let turn = ready!(poll_proceed(cx));
            let next = ready!(self.stream.as_mut().try_poll_next(cx));
            turn.made_progress();
            self.at = 0;
            self.ended = !matches!(next, Some(Ok(_)));
            self.item = next.transpose().map_err(|error| from_source(error.into()))?;
        }
        Poll::Ready(Ok(()))
    }

    fn consume(&mut self, len: usize) {
        self.at += len;
    }

    /// Takes what `front` lacks, less at the end of the stream.
    async fn fill_front(&mut self, front: &mut Front) -> Result<()> {
        while front.missing() > 0 {
            poll_fn(|cx| self.poll_fill(cx)).await?;
            let rest = self.rest();
            let part = &rest[..rest.len().min(front.missing())];
            if part.is_empty() {
                break;
            }
            front.bytes.extend_from_slice(part);
            let len = part.len();
            self.consume(len);
        }
        Ok(())
    }
}

fn from_source(error: BoxError) -> Error {
    let error = match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    };
    Error::io("cannot read the stream", error)
}

impl<S: TryStream> fmt::Debug for EncryptBytes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptBytes").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<S: TryStream> fmt::Debug for DecryptBytes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptBytes").field("done", &self.done).finish_non_exhaustive()
    }
}
