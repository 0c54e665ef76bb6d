//! Messages that are not as they were written: what a range touches counts, and nothing that
//! depends on the end is told where the end is not there.

use crate::common::{counting_envelope, envelope, sample};
use crate::kit::{Counted, Ranges, both};
use crate::made::{Made, content};
use ncp_envelope::format::{CHUNK_LEN, Profile};
use ncp_envelope::{DecryptPolicy, ErrorKind};

const CHUNK: u64 = CHUNK_LEN as u64;
const LEN: u64 = 5 * CHUNK + 1_000;

fn made() -> Made {
    Made::new(Profile::Compact, LEN)
}

/// What is left of a message.
struct Left<'a> {
    what: String,
    message: &'a [u8],
    /// Chunks that are not what was written there.
    damaged: Vec<u64>,
    /// Whether the message ends as it did.
    ends: bool,
}

impl Left<'_> {
    /// Every range that begins and ends near an edge is what was written, or refused because it
    /// touches the damage.
    fn check(&self) {
        let readers = both(&envelope(), self.message, &DecryptPolicy::new()).unwrap();
        let edges = (0..=5).flat_map(|chunk| [chunk * CHUNK, chunk * CHUNK + 77]).chain([LEN]);
        let edges: Vec<_> = edges.collect();
        for reader in &readers {
            for (from, to) in edges.iter().flat_map(|from| edges.iter().map(move |to| (*from, *to)))
            {
                if from < to {
                    self.range(&**reader, from, to);
                }
            }
            self.end(&**reader);
        }
    }

    fn range(&self, reader: &dyn Ranges, from: u64, to: u64) {
        let what = format!("{}: {from}..{to}", self.what);
        let touched = from / CHUNK..to.div_ceil(CHUNK);
        let whole = !self.damaged.iter().any(|chunk| touched.contains(chunk));
        let mut buf = vec![0xEE; (to - from) as usize];
        let results = [
            reader.at(from, to - from).map(|bytes| bytes.to_vec()),
            reader.from(from, Some(to)).map(|bytes| bytes.to_vec()),
            reader.many(&[from..to]).map(|mut all| all.swap_remove(0).to_vec()),
            reader.fill(&mut buf, from).map(|()| buf.clone()),
        ];
        for result in results {
            match result {
                Ok(bytes) => {
                    assert!(whole, "{what} touches the damage");
                    assert!(bytes == content(from, to - from), "{what}");
                }
                Err(error) => {
                    assert!(!whole, "{what} is whole: {error}");
                    self.refused(error.kind(), &what);
                }
            }
        }
        assert!(whole || buf.iter().all(|byte| *byte == 0), "{what} left something");
    }

    fn end(&self, reader: &dyn Ranges) {
        let (len, last) = (reader.length(), reader.last(10));
        let (rest, far) = (reader.from(5, None), reader.from(LEN + (1 << 20), None));
        if self.ends {
            assert_eq!(len.unwrap(), LEN, "{}", self.what);
            assert!(*last.unwrap() == content(LEN - 10, 10));
            assert_eq!(far.unwrap_err().kind(), ErrorKind::InvalidInput);
            return;
        }
        let past = reader.at(LEN + (1 << 20), 1);
        let many = reader.many(&[0..1, LEN - 1..LEN]);
        for (error, what) in [
            (len.unwrap_err(), "the length"),
            (last.unwrap_err(), "the last bytes"),
            (reader.last(0).unwrap_err(), "no last bytes"),
            (rest.unwrap_err(), "all the rest"),
            (far.unwrap_err(), "what begins past the end"),
            (past.unwrap_err(), "what is past the end"),
            (many.unwrap_err(), "several"),
        ] {
            self.refused(error.kind(), &format!("{}: {what}", self.what));
        }
    }

    fn refused(&self, kind: ErrorKind, what: &str) {
        assert!(
            matches!(kind, ErrorKind::Truncated | ErrorKind::Authentication),
            "{what}: {kind:?}"
        );
    }
}

// F-24, F-25
#[test]
fn a_message_that_was_cut_is_read_up_to_the_cut() {
    let made = made();
    let message = made.message();
    let body = made.front().len();
    let mut cuts: Vec<usize> = (0..6).flat_map(|n| cuts_of(body + n * 16_400)).collect();
    cuts.extend([message.len() - 1, message.len() - 16, message.len() - 17]);
    for cut in cuts.into_iter().filter(|cut| (body..message.len()).contains(cut)) {
        let whole = ((cut - body) / 16_400) as u64;
        let what = format!("cut at {cut}");
        let damaged = (whole..6).collect();
        Left { what, message: &message[..cut], damaged, ends: false }.check();
        // No bytes are at no place that there may not be.
        for reader in both(&envelope(), &message[..cut], &DecryptPolicy::new()).unwrap() {
            let error = reader.at(whole * CHUNK, 0).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Authentication));
        }
    }
    // Before that there is nothing to read.
    for cut in [0, 23, 24, made.body as usize - 1, made.body as usize, body - 1] {
        let error = both(&envelope(), &message[..cut], &DecryptPolicy::new()).map(drop);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Truncated, "{cut}");
    }
}

/// Around the start of a chunk, and in its middle.
fn cuts_of(chunk: usize) -> [usize; 8] {
    [0, 1, 15, 16, 17, 8_000, 16_384, 16_399].map(|within| chunk + within)
}

// F-23
#[test]
fn chunks_that_are_changed_or_moved_are_missed_where_they_are_read() {
    let made = made();
    let message = made.message();
    let at = |chunk: u64| {
        let range = made.chunk_at(chunk);
        range.start as usize..range.end as usize
    };
    let check = |what: &str, message: &[u8], damaged: &[u64], ends: bool| {
        Left { what: what.to_owned(), message, damaged: damaged.to_vec(), ends }.check();
    };
    for chunk in 0..6 {
        for within in [0, 1, 8_000, 16_383, 16_384, 16_399] {
            let mut changed = message.clone();
            let place = (at(chunk).start + within).min(changed.len() - 1);
            changed[place] ^= 1;
            check(&format!("bit in {chunk}"), &changed, &[chunk], chunk != 5);
        }
    }
    let mut swapped = message.clone();
    swapped.copy_within(at(3), at(1).start);
    swapped[at(3)].copy_from_slice(&message[at(1)]);
    check("swapped", &swapped, &[1, 3], true);

    let part = |chunk: u64| message[at(chunk)].to_vec();
    let front = message[..at(0).start].to_vec();
    let joined = |chunks: &[u64]| {
        chunks.iter().fold(front.clone(), |out, chunk| [out, part(*chunk)].concat())
    };
    check("one is missing", &joined(&[0, 1, 3, 4, 5]), &[2, 3, 4, 5], false);
    check("one is doubled", &joined(&[0, 1, 1, 2, 3, 4, 5]), &[2, 3, 4, 5], false);
    check("the first is last", &joined(&[1, 2, 3, 4, 0, 5]), &[0, 1, 2, 3, 4], true);
    // A short chunk is the last one, wherever it stands (F-24).
    check("the end comes early", &joined(&[0, 1, 5, 2, 3, 4]), &[2, 3, 4, 5], false);
    check("the end comes early, and that is all", &joined(&[0, 1, 5]), &[2, 3, 4, 5], false);
    check("it ends twice", &joined(&[0, 1, 2, 3, 4, 5, 5]), &[5], false);

    // Longer, by all kinds of bytes.
    for more in [1, 15, 16, 17, 15_000, 16_400, 16_400 * 3] {
        for bytes in [vec![0; more], sample(more)] {
            let longer = [&message[..], &bytes].concat();
            check(&format!("{more} more"), &longer, &[5], false);
        }
    }
    // Of another message under the same key, with another salt.
    let other = {
        let len = LEN as usize;
        let envelope = envelope().blocking();
        let plaintext = content(0, len as u64);
        envelope.encrypt(&plaintext, ncp_envelope::EncryptionContext::new()).unwrap()
    };
    let mut spliced = message.clone();
    let from = other.len() - (message.len() - at(2).start);
    spliced[at(2).start..].copy_from_slice(&other[from..]);
    check("spliced", &spliced, &[2, 3, 4, 5], false);
}

/// A last chunk of a shorter message under the same key and salt would be one if there were such a
/// message: the number of a full chunk never was a short one's.
// F-24
#[test]
fn no_whole_chunk_passes_for_a_last_one() {
    let made = made();
    // A file cut inside a chunk, whose remainder is as long as a last chunk may be.
    for within in [16, 17, 1_016, 16_399] {
        let message = made.message();
        let cut = made.chunk_at(2).start as usize + within;
        for reader in both(&envelope(), &message[..cut], &DecryptPolicy::new()).unwrap() {
            assert_eq!(reader.length().unwrap_err().kind(), ErrorKind::Authentication);
            let error = reader.from(2 * CHUNK, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{within}");
            assert!(*reader.at(0, 2 * CHUNK).unwrap() == content(0, 2 * CHUNK));
        }
    }
}

/// The length is believed as it was when the reader was made, and not before it was proven.
#[test]
fn a_source_that_lies_about_its_length_is_believed_nothing() {
    struct Claims<S>(S, u64);
    impl<S: ncp_envelope::io::ReadAt> ncp_envelope::io::ReadAt for Claims<S> {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.0.read_at(buf, offset)
        }
        fn len(&self) -> std::io::Result<u64> {
            Ok(self.1)
        }
    }
    let made = made();
    let message = made.message();
    let real = message.len() as u64;
    for claimed in [0, 1, real - 16_400, real - 1, real + 1, real + 50_000, 1 << 50, u64::MAX] {
        let source = Claims(&message[..], claimed);
        for reader in both(&envelope(), source, &DecryptPolicy::new()).unwrap() {
            let error = reader.length().unwrap_err();
            let kinds = [ErrorKind::Truncated, ErrorKind::Authentication, ErrorKind::LimitExceeded];
            assert!(kinds.contains(&error.kind()), "{claimed}: {error}");
            for (from, to) in [(0, 10), (CHUNK - 1, CHUNK + 1), (4 * CHUNK, LEN)] {
                if let Ok(bytes) = reader.at(from, to - from) {
                    assert!(*bytes == content(from, to - from) && to <= 5 * CHUNK, "{claimed}");
                }
            }
            assert!(reader.last(1).is_err() && reader.from(0, None).is_err(), "{claimed}");
            assert!(reader.at(1 << 51, 1).is_err());
        }
    }
}

/// What is wrong with a message before its body is said before a key is asked for.
// F-32
#[test]
fn what_a_policy_refuses_costs_no_call() {
    let (envelope, wrapper) = counting_envelope();
    let message = made().message();
    for policy in [
        DecryptPolicy::new().require("kind", "other"),
        DecryptPolicy::new().aad("some"),
        DecryptPolicy::new().detached(true),
    ] {
        let error = both(&envelope, &message[..], &policy).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAccepted);
    }
    let short = both(&envelope, &b"no message"[..], &DecryptPolicy::new()).map(drop).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Malformed);
    assert_eq!(wrapper.calls(), 0);
    let policy = DecryptPolicy::new().require("kind", "made");
    assert_eq!(both(&envelope, &message[..], &policy).unwrap()[0].length().unwrap(), LEN);
}

/// The end is opened once, and a failure to read it is not kept.
#[test]
fn the_end_is_proven_once() {
    let source = Counted::new(Made::new(Profile::Compact, 50 * CHUNK + 9));
    for reader in both(&envelope(), &source, &DecryptPolicy::new()).unwrap() {
        source.reads();
        assert_eq!(reader.length().unwrap(), 50 * CHUNK + 9);
        assert_eq!(source.reads(), 1);
        assert!(*reader.last(5).unwrap() == content(50 * CHUNK + 4, 5));
        assert!(reader.from(50 * CHUNK, None).is_ok() && reader.length().is_ok());
        assert!(reader.from(60 * CHUNK, None).is_err() && reader.last(0).is_ok());
        assert_eq!(source.reads(), 0);
    }
}
