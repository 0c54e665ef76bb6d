//! The crate and tests/second_implementation/ncpe_fields.py use each other's rings, decrypt each
//! other's values, and make the same indexes.

#[path = "../format/second_implementation/second.rs"]
mod second;

use crate::vectors::unhex;
use ncp_envelope::blocking::wait;
use ncp_envelope::fields::{Field, FieldCiphertext, FieldMode, KeyRing, RingDocument};
use ncp_envelope::{DataKey, Envelope, ErrorKind, LocalKeyWrapper};
use second::Second;
use serde_json::{Value, json};

const KEKS: [(&str, [u8; 32]); 2] = [("one", [0x4B; 32]), ("two", [0x5C; 32])];
const SCOPE: &str = "tenant-42/\u{d0a4}";
const FIELD: &str = "\u{ace0}\u{ac1d}.email";
const ROW: &[u8] = b"row \xff\0 17";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wrapper(at: usize) -> LocalKeyWrapper {
    let (id, kek) = KEKS[at];
    LocalKeyWrapper::new(id, &DataKey::copy_from(&kek)).unwrap()
}

fn envelope() -> Envelope {
    Envelope::builder(wrapper(0)).and(wrapper(1)).scope(SCOPE).build().unwrap()
}

fn open(ring: &[u8]) -> KeyRing {
    wait(KeyRing::open(ring, &envelope())).unwrap().unwrap()
}

/// A request that has all keys, with these fields beside them.
fn ask(second: &mut Second, op: &str, fields: Value) -> Result<Value, String> {
    let keys = KEKS.map(|(id, kek)| (id, hex(&kek)));
    let mut request = json!({ "op": op, "keys": keys, "scope": SCOPE });
    let fields = fields.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(fields);
    second.ask(&request)
}

fn bytes(answer: Result<Value, String>, name: &str) -> Vec<u8> {
    unhex(answer.unwrap()[name].as_str().unwrap())
}

/// Both decrypt what both encrypt, and make the same indexes, whoever changed the ring last.
fn both_use(second: &mut Second, ring: &[u8]) {
    let field = open(ring).field(FIELD).unwrap();
    let named = |extra: Value| {
        let mut fields = json!({ "ring": hex(ring), "field": FIELD, "row": hex(ROW) });
        fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        fields
    };
    for len in [0, 1, 15, 16, 17, 500, 65_536] {
        let value: Vec<u8> = (0..len).map(|at: usize| (at * 31 % 251) as u8).collect();
        for mode in [FieldMode::Randomized, FieldMode::Deterministic] {
            let field: Field = field.clone().with_mode(mode);
            let ours = field.encrypt(&value, ROW).unwrap();
            let decrypt = named(json!({ "ciphertext": hex(&ours) }));
            assert_eq!(bytes(ask(second, "decrypt", decrypt), "value"), value);
            let text = named(json!({ "text": FieldCiphertext::to_text(&ours) }));
            assert_eq!(bytes(ask(second, "decrypt", text), "value"), value);

            let deterministic = mode == FieldMode::Deterministic;
            let request = named(json!({ "value": hex(&value), "deterministic": deterministic }));
            let answer = ask(second, "encrypt", request).unwrap();
            let theirs = unhex(answer["ciphertext"].as_str().unwrap());
            assert_eq!(*field.decrypt(&theirs, ROW).unwrap(), value);
            assert_eq!(*field.decrypt_text(answer["text"].as_str().unwrap(), ROW).unwrap(), value);
            assert_eq!(ours == theirs, deterministic);
            assert_eq!(ours[..6], theirs[..6]);
        }
        for bits in [8, 13, 128, 256] {
            let index = named(json!({ "value": hex(&value), "bits": bits }));
            let theirs = bytes(ask(second, "index", index), "index");
            let ours = field.clone().with_index_bits(bits).unwrap().index(&value).unwrap();
            assert_eq!(ours.as_ref(), theirs);
        }
    }
}

//
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_uses_the_rings_of_the_other() {
    let mut second = Second::start("ncpe_fields.py");
    let second_ring = bytes(ask(&mut second, "create", json!({})), "ring");
    let first_ring = wait(KeyRing::create(&envelope())).unwrap().unwrap().to_bytes();
    for mut ring in [first_ring, second_ring] {
        both_use(&mut second, &ring);
        let mut numbers = 2;
        // One after the other: every change is made of what the other program has written.
        for step in 0..8 {
            ring = match step {
                0 => wait(open(&ring).rotate()).unwrap().unwrap().to_bytes(),
                1 => {
                    let rotate = json!({ "ring": hex(&ring), "role": "value" });
                    bytes(ask(&mut second, "rotate", rotate), "ring")
                }
                2 => wait(open(&ring).rotate_index()).unwrap().unwrap().to_bytes(),
                3 => {
                    let rotate = json!({ "ring": hex(&ring), "role": "index" });
                    bytes(ask(&mut second, "rotate", rotate), "ring")
                }
                4 => RingDocument::decode(&ring).unwrap().retire(1).unwrap().to_bytes(),
                5 => {
                    let retire = json!({ "ring": hex(&ring), "number": 2 });
                    bytes(ask(&mut second, "retire", retire), "ring")
                }
                6 => {
                    let document = RingDocument::decode(&ring).unwrap();
                    wait(document.rewrap(&envelope())).unwrap().unwrap().to_bytes()
                }
                _ => bytes(ask(&mut second, "rewrap", json!({ "ring": hex(&ring) })), "ring"),
            };
            numbers += u32::from(step < 4);
            let document = RingDocument::decode(&ring).unwrap();
            assert_eq!(document.highest(), numbers);
            let seen = ask(&mut second, "inspect", json!({ "ring": hex(&ring) })).unwrap();
            let seen = &seen["ring"];
            assert_eq!(seen["id"], document.id().to_string());
            assert_eq!(seen["highest"], document.highest());
            assert_eq!(seen["value_key"], document.value_key());
            assert_eq!(seen["index_key"], document.index_key());
            for (entry, seen) in document.entries().iter().zip(seen["entries"].as_array().unwrap())
            {
                let created = entry.created().duration_since(std::time::UNIX_EPOCH).unwrap();
                let slots: Vec<_> = entry.slots().iter().map(|slot| slot.key_id().id()).collect();
                let ours =
                    json!([entry.number(), entry.role().to_string(), created.as_secs(), slots]);
                assert_eq!(*seen, ours);
            }
            both_use(&mut second, &ring);
        }
    }
    second.stop();
}

//
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_damage_alike() {
    let mut second = Second::start("ncpe_fields.py");
    let ring = wait(KeyRing::create(&envelope())).unwrap().unwrap().to_bytes();
    let flips = (0..ring.len()).map(|at| {
        let mut changed = ring.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    });
    for changed in flips.chain((0..ring.len()).map(|len| ring[..len].to_vec())) {
        let ours = RingDocument::decode(&changed).unwrap_err();
        let theirs = ask(&mut second, "inspect", json!({ "ring": hex(&changed) })).unwrap_err();
        assert_eq!(format!("{:?}", ours.kind()), theirs, "{}: {ours}", hex(&changed));
    }
    let field = open(&ring).field(FIELD).unwrap();
    for mode in [FieldMode::Randomized, FieldMode::Deterministic] {
        let made = field.clone().with_mode(mode).encrypt("kim@example.com", ROW).unwrap();
        for bit in 0..made.len() * 8 {
            let mut changed = made.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let fields = json!({
                "ring": hex(&ring), "field": FIELD, "row": hex(ROW), "ciphertext": hex(&changed),
            });
            let theirs = ask(&mut second, "decrypt", fields).unwrap_err();
            let ours = field.decrypt(&changed, ROW).unwrap_err();
            assert_eq!((ours.kind(), &theirs[..]), (ErrorKind::Authentication, "Authentication"));
        }
    }
    second.stop();
}
