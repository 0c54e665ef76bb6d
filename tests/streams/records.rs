//! Code that reads records with `read_exact` until `UnexpectedEof`: half a message is not their
//! end.

use crate::common::{block_on, envelope, sample};
use ncp_envelope::format::{Header, PREAMBLE_LEN, SEALED_CHUNK_LEN};
use ncp_envelope::{DecryptPolicy, EncryptionContext, Error, ErrorKind};
use std::io::{self, BufRead, BufReader, Read};

const RECORD_LEN: usize = 16;
const RECORDS: usize = 4_096;

/// What such code does.
fn records(mut reader: impl Read) -> io::Result<usize> {
    let mut record = [0; RECORD_LEN];
    for count in 0.. {
        match reader.read_exact(&mut record) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(count),
            Err(error) => return Err(error),
        }
    }
    unreachable!()
}

/// A compressed stream that was cut, say: breaks off where its bytes end.
struct BreaksOff<'a>(&'a [u8]);

impl Read for BreaksOff<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buf)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for BreaksOff<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.0 {
            [] => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "corrupt deflate stream")),
            rest => Ok(rest),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.0 = &self.0[amount..];
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncRead for BreaksOff<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let rest = self.fill_buf()?;
        let len = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..len]);
        self.consume(len);
        std::task::Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncBufRead for BreaksOff<'_> {
    fn poll_fill_buf(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<&[u8]>> {
        std::task::Poll::Ready(self.get_mut().fill_buf())
    }

    fn consume(self: std::pin::Pin<&mut Self>, amount: usize) {
        BufRead::consume(self.get_mut(), amount);
    }
}

/// A message of records, and where to cut it: at every edge of a part or chunk, beside it, and
/// inside.
fn message_and_cuts() -> (Vec<u8>, Vec<usize>) {
    let plaintext = sample(RECORDS * RECORD_LEN);
    let message = block_on(envelope().encrypt(&plaintext, EncryptionContext::new())).unwrap();
    let body = Header::len_from(&message).unwrap();
    let chunks = (0..).map(|index| body + PREAMBLE_LEN + index * SEALED_CHUNK_LEN);
    let edges = [0, body].into_iter().chain(chunks.take_while(|edge| *edge < message.len()));
    let mut cuts: Vec<_> = edges
        .flat_map(|edge| {
            [edge.saturating_sub(1), edge, edge + 1, edge + 15, edge + 16, edge + 17, edge + 8_200]
        })
        .filter(|cut| *cut < message.len())
        .collect();
    cuts.push(message.len() - 1);
    assert!(cuts.len() > 40);
    (message, cuts)
}

fn check(cut: usize, found: io::Result<usize>, kinds: &[ErrorKind]) {
    let error = found.expect_err(&format!("cut at {cut}, read as whole"));
    let inside = Error::inside(&error).unwrap();
    assert!(kinds.contains(&inside.kind()), "cut at {cut}: {inside}");
}

/// What a message that ends early is; cut within its last chunk's tag, it is a changed one.
const CUT: [ErrorKind; 2] = [ErrorKind::Truncated, ErrorKind::Authentication];

// F-25
#[test]
fn half_a_message_is_no_end_of_records() {
    let (message, cuts) = message_and_cuts();
    let (envelope, policy) = (envelope(), DecryptPolicy::new());
    let open = |message| block_on(envelope.reader(message, &policy));
    assert_eq!(records(open(&message[..]).unwrap()).unwrap(), RECORDS);
    for cut in cuts {
        let part = &message[..cut];
        check(cut, open(part).map_err(io::Error::from).and_then(records), &CUT);
        let buffered = open(part).map(BufReader::new).map_err(io::Error::from);
        check(cut, buffered.and_then(records), &CUT);
        let blocking = envelope.blocking().reader(part, &policy);
        check(cut, blocking.map_err(io::Error::from).and_then(records), &CUT);
        let broken = block_on(envelope.reader(BreaksOff(part), &policy));
        check(cut, broken.map_err(io::Error::from).and_then(records), &[ErrorKind::Io]);
        let broken = block_on(envelope.buf_reader(BreaksOff(part), &policy));
        check(cut, broken.map_err(io::Error::from).and_then(records), &[ErrorKind::Io]);
    }
}

// A message in a message: the outer one is whole, and what it holds is not.
#[test]
fn half_a_message_within_another_is_no_end_either() {
    let (message, cuts) = message_and_cuts();
    let (envelope, policy) = (envelope(), DecryptPolicy::new());
    for cut in cuts {
        let outer = block_on(envelope.encrypt(&message[..cut], EncryptionContext::new())).unwrap();
        let outer = block_on(envelope.reader(&outer[..], &policy)).unwrap();
        let inner = block_on(envelope.reader(outer, &policy)).map_err(io::Error::from);
        check(cut, inner.and_then(records), &CUT);
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn half_a_message_is_no_end_of_records_for_tokio() {
    use tokio::io::{AsyncRead, AsyncReadExt};
    async fn records(reader: ncp_envelope::Result<impl AsyncRead + Unpin>) -> io::Result<usize> {
        let (mut reader, mut record) = (reader?, [0; RECORD_LEN]);
        for count in 0.. {
            match reader.read_exact(&mut record).await {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(count),
                Err(error) => return Err(error),
            }
        }
        unreachable!()
    }
    let (message, cuts) = tokio::task::spawn_blocking(message_and_cuts).await.unwrap();
    let (envelope, policy) = (envelope(), DecryptPolicy::new());
    assert_eq!(records(envelope.async_reader(&message[..], &policy).await).await.unwrap(), RECORDS);
    for cut in cuts {
        let part = &message[..cut];
        check(cut, records(envelope.async_reader(part, &policy).await).await, &CUT);
        let broken = envelope.async_reader(BreaksOff(part), &policy).await;
        check(cut, records(broken).await, &[ErrorKind::Io]);
        let broken = envelope.async_buf_reader(BreaksOff(part), &policy).await;
        check(cut, records(broken).await, &[ErrorKind::Io]);
    }
}
