//! The crate and the second implementation in tests/second_implementation read each other's
//! messages, replace each other's key slots, and refuse the same things in the same way.

mod bench;
mod detached;
mod second;
mod slots;

use crate::common::{PROFILES, sample};
use bench::{Bench, Binding, WRITERS, brief};
use ncp_envelope::format::Profile;

const LENGTHS: [usize; 7] = [0, 1, 16_383, 16_384, 16_385, 32_768, (1 << 20) + 7];

// F-3, F-12, F-14, F-20, F-21, F-24, F-31
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_reads_what_the_other_writes() {
    let mut bench = Bench::new();
    let mut messages = 0;
    for len in LENGTHS {
        let plaintext = sample(len);
        for binding in Binding::all() {
            for profile in PROFILES {
                for writer in WRITERS {
                    let message = bench.write(writer, &plaintext, &binding, profile);
                    let read = bench.read(&message, &binding);
                    assert!(
                        read.as_deref() == Ok(&plaintext),
                        "{writer}, {len} bytes, {profile:?}, {binding:?}: {:?}",
                        brief(&read)
                    );
                    messages += 1;
                }
            }
        }
    }
    assert_eq!(messages, 7 * 8 * 3 * 4);
    bench.second.stop();
}

// F-12, F-20, F-29, F-32
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_what_is_bound_otherwise() {
    let mut bench = Bench::new();
    let bound =
        Binding { context: vec![("tenant", "42"), ("kind", "note")], aad: b"volume 7", scope: "s" };
    let with = |change: fn(&mut Binding)| {
        let mut binding = bound.clone();
        change(&mut binding);
        binding
    };
    let unbound = Binding::none();
    for profile in PROFILES {
        for writer in WRITERS {
            for len in [0, 20_000] {
                let message = bench.write(writer, &sample(len), &bound, profile);
                for (kind, reader) in [
                    ("Authentication", with(|reader| reader.scope = "t")),
                    ("Authentication", with(|reader| reader.scope = "")),
                    ("Authentication", with(|reader| reader.aad = b"volume 8")),
                    ("NotAccepted", with(|reader| reader.aad = b"")),
                    ("NotAccepted", with(|reader| reader.context[0].1 = "43")),
                    ("NotAccepted", with(|reader| reader.context.push(("absent", "")))),
                ] {
                    assert_eq!(
                        bench.read(&message, &reader),
                        Err(kind.to_owned()),
                        "{writer}: {reader:?}"
                    );
                }
                // A reader may require less than is there.
                assert!(bench.read(&message, &with(|reader| reader.context.truncate(1))).is_ok());

                let message = bench.write(writer, &sample(len), &unbound, profile);
                let reader = Binding { aad: b"volume 7", ..unbound.clone() };
                assert_eq!(
                    bench.read(&message, &reader),
                    Err("NotAccepted".to_owned()),
                    "{writer}: {reader:?}"
                );
                assert!(bench.read(&message, &unbound).is_ok());
            }
        }
    }
    bench.second.stop();
}

// F-4, F-22, F-25, F-27: what is no message at all, or one cut or changed, has one name on both
// sides, whatever its layout.
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_damage_alike() {
    let mut bench = Bench::new();
    let binding = Binding { context: vec![("tenant", "42")], aad: b"", scope: "" };
    for writer in WRITERS {
        for profile in PROFILES {
            let stored = bench.write(writer, &sample(20_000), &binding, profile);
            let message = stored.bytes();
            let body = message.len() - (56 + 20_000 + 2 * 16);
            let within = [0, 1, 8, 23, 24, 40, body - 1, body, body + 55, body + 56];
            let behind = [body + 71, body + 72, body + 16_455, body + 16_456, message.len() - 1];
            for len in within.into_iter().chain(behind) {
                stored.store(&message[..len]);
                let refused = bench.read(&stored, &binding).expect_err("it was cut");
                assert!(
                    ["Truncated", "Authentication"].contains(&&refused[..]),
                    "{len}: {refused}"
                );
            }
            let fields = (0..24).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
            // Every byte that has a meaning, and some of each padding.
            let meaning = (24..body + 56).filter(|at| at % 4_096 < 300 || at % 211 == 0);
            let rest = (body + 56..message.len()).step_by(997);
            for (at, change) in fields.chain(meaning.chain(rest).map(|at| (at, 0x10))) {
                let mut changed = message.clone();
                changed[at] ^= change;
                stored.store(&changed);
                let read = bench.read(&stored, &binding);
                // A copy that is torn does not count, and the other one does.
                let copies = 4_096..if profile == Profile::Durable { body } else { 0 };
                assert_eq!(read.is_ok(), copies.contains(&at), "{writer} {profile:?} {at}");
            }
        }
    }
    bench.second.stop();
}
