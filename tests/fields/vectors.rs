//! Rings, values and indexes of the second implementation, each good or with one fault: the crate
//! has to agree on every one, and on the kind of the refusal.

use aws_lc_rs::digest;
use ncp_envelope::blocking::wait;
use ncp_envelope::fields::{Field, FieldCiphertext, FieldMode, KeyRing, RingDocument};
use ncp_envelope::{DataKey, Envelope, Error, LocalKeyWrapper};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

/// Of every vector that does not name another.
const KEK: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const KEY_ID: &str = "vector-key-1";

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/fields")
}

struct Vector(Value);

impl Vector {
    fn all(of: &[&str]) -> Vec<Self> {
        let index = std::fs::read(folder().join("index.json")).unwrap();
        let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
        index.into_iter().map(Self).filter(|vector| of.contains(&vector.text("try"))).collect()
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn ring(&self) -> Vec<u8> {
        std::fs::read(folder().join(self.text("ring"))).unwrap()
    }

    fn envelope(&self) -> Envelope {
        let kek = unhex(self.0["kek"].as_str().unwrap_or(KEK)).try_into().unwrap();
        let id = self.0["key_id"].as_str().unwrap_or(KEY_ID);
        let wrapper = LocalKeyWrapper::new(id, &DataKey::copy_from(&kek)).unwrap();
        let scope = self.0["scope"].as_str().unwrap_or_default();
        Envelope::builder(wrapper).scope(scope).build().unwrap()
    }

    fn value(&self) -> Vec<u8> {
        let zeros = self.0["zeros"].as_u64().unwrap_or_default();
        let mut value = vec![0; usize::try_from(zeros).unwrap()];
        value.extend(self.bytes("value"));
        value
    }
}

/// What `check` says about each vector, against what its index says.
fn agree(vectors: &[Vector], mut check: impl FnMut(&Vector) -> Result<(), Error>) {
    let wrong = |vector: &Vector| {
        let (expected, result) = (vector.text("expect"), check(vector));
        let found =
            result.as_ref().map_or_else(|error| format!("{:?}", error.kind()), |()| "ok".into());
        (found != expected)
            .then(|| format!("{}: {found}, not {expected}: {result:?}", vector.text("name")))
    };
    let wrong: Vec<_> = vectors.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}\n{} of {}", wrong.join("\n"), wrong.len(), vectors.len());
}

#[test]
fn every_ring_is_read_as_its_index_says() {
    let vectors = Vector::all(&["decode"]);
    assert!(vectors.len() > 45, "the index is there");
    agree(&vectors, |vector| {
        let bytes = vector.ring();
        let ring = RingDocument::decode(&bytes)?;
        assert_eq!(ring.to_bytes(), bytes, "R-1: {}", vector.text("name"));
        assert_eq!(ring.entries().last().map(|entry| entry.number() <= ring.highest()), Some(true));
        Ok(())
    });
    let good = RingDocument::decode(&std::fs::read(folder().join("good.ring")).unwrap()).unwrap();
    let numbers: Vec<_> = good.entries().iter().map(|entry| entry.number()).collect();
    assert_eq!(numbers, [1, 3, 4, 7, 0x0102_0304]);
    assert_eq!((good.value_key(), good.index_key(), good.highest()), (0x0102_0304, 7, 0x0102_0305));
}

//
#[test]
fn every_ring_is_opened_as_its_index_says() {
    let vectors = Vector::all(&["open"]);
    assert!(vectors.len() > 20, "the index is there");
    agree(&vectors, |vector| {
        let envelope = vector.envelope();
        let opened = wait(KeyRing::open(vector.ring(), &envelope)).unwrap().map(drop);
        // Before a key is asked for, when no slot of an entry is for this reader.
        if vector.text("expect") == "KeyNotAllowed" {
            assert_eq!(envelope.stats().unwrap.calls, 0, "{}", vector.text("name"));
        }
        opened
    });
}

/// The rings of `vectors`, each opened once, and the field that each vector names.
fn with_fields(vectors: &[Vector], mut check: impl FnMut(&Vector, Field) -> Result<(), Error>) {
    let mut rings = HashMap::new();
    agree(vectors, |vector| {
        let open = || wait(KeyRing::open(vector.ring(), &vector.envelope())).unwrap().unwrap();
        let ring = rings.entry(vector.text("ring").to_owned()).or_insert_with(open);
        check(vector, ring.field(vector.text("field"))?)
    });
}

//
#[test]
fn every_value_is_decrypted_as_its_index_says() {
    let vectors = Vector::all(&["decrypt"]);
    assert!(vectors.len() > 70, "the index is there");
    let mut texts = Vec::new();
    with_fields(&vectors, |vector, field| {
        let (name, value, row) = (vector.text("name"), vector.value(), vector.bytes("row"));
        let again = field.clone().with_mode(FieldMode::Deterministic);
        let ciphertext = match vector.0["ciphertext"].as_str() {
            Some(ciphertext) => unhex(ciphertext),
            // a long one, of which the index has the hash.
            None => {
                let ciphertext = again.encrypt(&value, &row)?;
                let hash = digest::digest(&digest::SHA256, &ciphertext);
                assert_eq!(hash.as_ref(), vector.bytes("ciphertext_sha256"), "{name}");
                ciphertext
            }
        };
        let mut out = b"what was there".to_vec();
        let into = field.decrypt_into(&ciphertext, &row, &mut out);
        let decrypted = match field.decrypt(&ciphertext, &row) {
            Ok(decrypted) => decrypted,
            Err(error) => {
                assert!(out.is_empty() && into.is_err(), "R-22: {name}");
                texts.push(error.to_string());
                return Err(error);
            }
        };
        assert_eq!(*decrypted, value, "{name}");
        assert_eq!(out, value, "{name}");
        let front = FieldCiphertext::parse(&ciphertext)?;
        assert_eq!(front.value_len(), value.len(), "{name}");
        // with the newest key it is the same each time, in one mode only.
        if front.key_number() == field.ring().document().value_key() {
            let same = again.encrypt(&value, &row)? == ciphertext;
            assert_eq!(same, front.mode() == FieldMode::Deterministic, "{name}");
        }
        Ok(())
    });
    //
    assert!(texts.len() > 50);
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

//
#[test]
fn every_text_is_decrypted_as_its_index_says() {
    let vectors = Vector::all(&["text"]);
    assert!(vectors.len() > 10, "the index is there");
    with_fields(&vectors, |vector, field| {
        let (text, row) = (vector.text("text"), vector.bytes("row"));
        let decrypted = field.decrypt_text(text, row)?;
        assert_eq!(*decrypted, vector.value(), "{}", vector.text("name"));
        assert_eq!(FieldCiphertext::to_text(&FieldCiphertext::from_text(text)?), text);
        Ok(())
    });
}

//
#[test]
fn every_index_is_the_one_of_the_vector() {
    let vectors = Vector::all(&["index"]);
    assert!(vectors.len() > 15, "the index is there");
    with_fields(&vectors, |vector, field| {
        let of = |name: &str| vector.0[name].as_u64().unwrap();
        let (bits, number) = (of("bits").try_into().unwrap(), of("number").try_into().unwrap());
        let field = field.with_index_bits(bits)?;
        let index = field.index_under(number, vector.value())?;
        assert_eq!(index.as_ref(), vector.bytes("index"), "{}", vector.text("name"));
        if number == field.ring().document().index_key() {
            assert_eq!(field.index(vector.value())?, index);
        }
        Ok(())
    });
}
