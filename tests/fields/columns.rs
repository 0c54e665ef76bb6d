//! Columns: what they give is what calls for single values give, in the same order, and a column
//! that cannot be finished gives nothing.

use crate::local::{MODES, field, ring};
use ncp_envelope::fields::{Column, Field, FieldMode};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    DataKey, Envelope, Error, ErrorKind, KeyId, KeyWrapper, LocalKeyWrapper, Result, WrappedKey,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;

/// The longest run of values that one thread works on without asking for the keys again.
const RUN: usize = 4_096;
const LENGTHS: [usize; 6] = [0, 1, RUN - 1, RUN, RUN + 1, 20_000];

type Row = [u8; 4];

/// Values of 0 to 400 bytes with their rows, all different.
fn rows(count: usize) -> Vec<(Vec<u8>, Row)> {
    let row = |at: usize| {
        let number = u32::try_from(at).unwrap().to_le_bytes();
        (number.into_iter().cycle().take(at * 37 % 401).collect(), number)
    };
    (0..count).map(row).collect()
}

/// What is to be decrypted.
fn sealed<'c>(column: &'c Column, rows: &[(Vec<u8>, Row)]) -> Vec<(&'c [u8], Row)> {
    column.iter().zip(rows).map(|(ciphertext, (_, row))| (ciphertext, *row)).collect()
}

#[test]
fn a_column_is_what_single_calls_give_in_the_same_order() {
    let ring = ring();
    let field = field(&ring, FieldMode::Deterministic);
    for count in LENGTHS {
        let rows = rows(count);
        let column = field.encrypt_many(&rows).unwrap();
        assert_eq!(column.len(), count);
        let single = |(value, row): &(Vec<u8>, Row)| field.encrypt(value, row).unwrap();
        assert!(column.iter().eq(rows.iter().map(single)));
        assert_eq!(column.as_bytes(), rows.iter().map(single).collect::<Vec<_>>().concat());

        let opened = field.decrypt_many(&sealed(&column, &rows)).unwrap();
        opened.check().unwrap();
        assert_eq!(opened.len(), count);
        assert!((0..count).all(|at| opened.get(at).unwrap() == rows[at].0));
        assert_eq!(opened.get(count).unwrap_err().kind(), ErrorKind::InvalidInput);

        let values: Vec<_> = rows.iter().map(|(value, _)| value).collect();
        for bits in [12, 128, 256] {
            let field = field.clone().with_index_bits(bits).unwrap();
            let indexes = field.index_many(&values).unwrap();
            assert_eq!(indexes.len(), count);
            let single = |at: usize| field.index(values[at]).unwrap();
            assert!((0..count).all(|at| indexes[at] == *single(at).as_bytes()), "{bits}");
        }
    }
}

#[test]
fn a_randomized_column_is_opened_by_single_calls_and_the_other_way_round() {
    let ring = ring();
    let field = field(&ring, FieldMode::Randomized);
    for count in LENGTHS {
        let rows = rows(count);
        let column = field.encrypt_many(&rows).unwrap();
        let opens = |(ciphertext, (value, row)): (&[u8], &(Vec<u8>, Row))| {
            *field.decrypt(ciphertext, row).unwrap() == *value
        };
        assert!(column.iter().zip(&rows).all(opens));

        let single = |(value, row): &(Vec<u8>, Row)| (field.encrypt(value, row).unwrap(), *row);
        let opened = field.decrypt_many(&rows.iter().map(single).collect::<Vec<_>>()).unwrap();
        opened.check().unwrap();
        assert!((0..count).all(|at| opened.get(at).unwrap() == rows[at].0));
    }
}

//
#[test]
fn damaged_values_fail_wherever_they_are_and_no_others() {
    let ring = ring();
    for mode in MODES {
        let field = field(&ring, mode);
        for count in LENGTHS {
            let rows = rows(count);
            let column = field.encrypt_many(&rows).unwrap();
            // Where runs begin and end, on one core or on two.
            let ends = [0, count / 2, RUN, 2 * RUN, 4 * RUN, count];
            let mut places: Vec<_> =
                ends.iter().flat_map(|end| [end.saturating_sub(1), *end]).collect();
            places.retain(|place| *place < count);
            places.sort_unstable();
            places.dedup();
            type Damage = fn(&mut Vec<u8>, &mut Row);
            let damages: [Damage; 4] = [
                |ciphertext, _| ciphertext[20] ^= 1,
                |_, row| row[3] ^= 1,
                |ciphertext, _| ciphertext.clear(),
                |ciphertext, _| ciphertext[1] = 3,
            ];
            for damage in damages {
                let mut damaged: Vec<_> = sealed(&column, &rows)
                    .into_iter()
                    .map(|(ciphertext, row)| (ciphertext.to_vec(), row))
                    .collect();
                for place in &places {
                    let (ciphertext, row) = &mut damaged[*place];
                    damage(ciphertext, row);
                }
                let opened = field.decrypt_many(&damaged).unwrap();
                assert_eq!((opened.len(), opened.failed()), (count, &places[..]));
                for (at, (value, _)) in rows.iter().enumerate() {
                    match opened.get(at) {
                        Ok(opened) => assert!(opened == value && !places.contains(&at)),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Authentication);
                            assert!(places.contains(&at));
                        }
                    }
                }
                assert_eq!(opened.check().is_ok(), places.is_empty());
            }
        }
    }
}

/// A value that tells when it is read: its place, and how often it was read before.
struct Telling<'t> {
    place: usize,
    bytes: Vec<u8>,
    reads: AtomicUsize,
    told: &'t (dyn Fn(usize, usize) + Sync),
}

impl AsRef<[u8]> for Telling<'_> {
    fn as_ref(&self) -> &[u8] {
        (self.told)(self.place, self.reads.fetch_add(1, Relaxed));
        &self.bytes
    }
}

/// A local key that can be denied. One that is not is unwrapped again at once.
#[derive(Debug)]
struct Denied(LocalKeyWrapper, Arc<AtomicBool>);

impl KeyWrapper for Denied {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        match self.1.load(Relaxed) {
            true => Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "denied")) }),
            false => self.0.unwrap_keys(wrapped),
        }
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.rewrap_keys(wrapped)
    }
}

/// Calls `work` with values of a column, or with their ciphertexts. When the 100th of them is
/// read for the last time, the keys are forgotten and denied; no other run ends before that.
fn forgotten(
    encrypted: bool,
    reads: usize,
    work: impl Fn(&Field, &[(Telling<'_>, Row)]) -> Result<()>,
) {
    let denied = Arc::new(AtomicBool::new(false));
    let local = LocalKeyWrapper::new("test-key", &DataKey::copy_from(&[7; 32])).unwrap();
    let envelope = Envelope::builder(Denied(local, denied.clone())).build().unwrap();
    let ring = envelope.blocking().create_ring().unwrap();
    let field = field(&ring, FieldMode::Randomized);
    // One run more than there are threads.
    let rows = rows(RUN * (thread::available_parallelism().unwrap().get() + 1));
    let column = field.encrypt_many(&rows).unwrap();

    let ended = OnceLock::new();
    let told = |place: usize, before: usize| {
        if before + 1 == reads && place >= 100 {
            if place == 100 {
                denied.store(true, Relaxed);
                ring.ring().forget_keys();
                ended.get_or_init(|| ());
            }
            ended.wait();
        }
    };
    let row = |(place, (value, row)): (usize, &(Vec<u8>, Row))| {
        let bytes = if encrypted { column[place].to_vec() } else { value.clone() };
        (Telling { place, bytes, reads: 0.into(), told: &told }, *row)
    };
    let rows: Vec<_> = rows.iter().enumerate().map(row).collect();
    assert_eq!(work(&field, &rows).unwrap_err().kind(), ErrorKind::AccessDenied);
}

#[test]
fn keys_forgotten_in_the_middle_of_a_column_end_it() {
    forgotten(false, 2, |field, rows| field.encrypt_many(rows).map(drop));
    forgotten(true, 2, |field, rows| field.decrypt_many(rows).map(drop));
    forgotten(false, 1, |field, rows| {
        let values: Vec<_> = rows.iter().map(|(value, _)| value).collect();
        field.index_many(&values).map(drop)
    });
}

/// A value that is another one when it is read again.
struct Changing {
    values: [Vec<u8>; 2],
    reads: AtomicUsize,
}

impl AsRef<[u8]> for Changing {
    fn as_ref(&self) -> &[u8] {
        &self.values[self.reads.fetch_add(1, Relaxed).min(1)]
    }
}

/// Values of which one changes.
fn changing(count: usize, place: usize, same: &[u8], values: [&[u8]; 2]) -> Vec<(Changing, Row)> {
    let value = |at| {
        let values = if at == place { values } else { [same; 2] };
        (Changing { values: values.map(<[u8]>::to_vec), reads: 0.into() }, [0; 4])
    };
    (0..count).map(value).collect()
}

#[test]
fn a_value_that_changes_its_length_meanwhile_is_an_error() {
    let ring = ring();
    for mode in MODES {
        let field = field(&ring, mode);
        let sealed = |value: &[u8]| field.encrypt(value, [0; 4]).unwrap();
        for (count, place) in [(1, 0), (3, 1), (RUN + 1, RUN)] {
            let told = |error: Error, done: &str| {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let says = "changed its length while the column was";
                let says = format!("value {place} of the column {says} {done}");
                assert_eq!(error.to_string(), says);
            };
            for (first, later) in [(5, 6), (6, 5), (0, 1), (1, 0), (5, 70_000), (65_536, 0)] {
                let values = [&vec![1; first][..], &vec![1; later]];
                let rows = changing(count, place, b"same", values);
                told(field.encrypt_many(&rows).unwrap_err(), "encrypted");
            }
            let (five, six, none) = (sealed(b"12345"), sealed(b"123456"), &b"no ciphertext"[..]);
            let same = sealed(b"same");
            for values in [[&five, &six[..]], [&six, &five], [&five, none], [none, &five]] {
                let rows = changing(count, place, &same, values);
                told(field.decrypt_many(&rows).unwrap_err(), "decrypted");
            }
        }
        // With the same length it is what was read last.
        let rows = changing(3, 1, b"same", [b"then", b"now!"]);
        let column = field.encrypt_many(&rows).unwrap();
        assert_eq!(*field.decrypt(&column[1], [0; 4]).unwrap(), b"now!");
        let rows = changing(3, 1, &sealed(b"same"), [&sealed(b"then"), &sealed(b"now!")]);
        assert_eq!(field.decrypt_many(&rows).unwrap().get(1).unwrap(), b"now!");
        // An index has its length whatever the value's is.
        let rows = changing(3, 1, b"same", [b"then", b"never read"]);
        let values: Vec<_> = rows.into_iter().map(|(value, _)| value).collect();
        let indexes = field.index_many(&values).unwrap();
        assert_eq!(indexes[1], *field.index("then").unwrap().as_bytes());
    }
}
