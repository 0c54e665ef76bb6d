//! Header and body as two objects (F-13).

use super::bench::{Bench, Binding, WRITERS, brief};
use crate::common::{PROFILES, sample};
use ncp_envelope::format::{Header, Layout};
use std::fs;

fn layouts() -> [Layout; 3] {
    PROFILES.map(|profile| Layout::from(profile).detached(true))
}

// F-13
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_reads_the_two_objects_of_the_other() {
    let mut bench = Bench::new();
    for len in [0, 1, 16_384, 40_000] {
        let plaintext = sample(len);
        for binding in Binding::all() {
            for layout in layouts() {
                for writer in WRITERS {
                    let stored = bench.write(writer, &plaintext, &binding, layout);
                    let header = fs::read(stored.slots()).unwrap();
                    assert_eq!(Header::decode_detached(&header).unwrap().bound().layout(), layout);
                    let read = bench.read(&stored, &binding);
                    assert!(
                        read.as_deref() == Ok(&plaintext),
                        "{writer}, {len} bytes, {layout:?}, {binding:?}: {:?}",
                        brief(&read)
                    );
                }
            }
        }
    }
    bench.second.stop();
}

// F-13, F-22, F-25
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_objects_that_do_not_belong_together() {
    let (mut bench, binding) = (Bench::new(), Binding::none());
    let plaintext = sample(20_000);
    for layout in layouts() {
        for writer in WRITERS {
            let other = bench.write(writer, &plaintext, &binding, layout);
            let other_body = fs::read(&other.message).unwrap();
            let attached = bench.write(writer, &plaintext, &binding, layout.profile()).bytes();
            let stored = bench.write(writer, &plaintext, &binding, layout);
            let header = fs::read(stored.slots()).unwrap();
            let body = fs::read(&stored.message).unwrap();
            let whole = [&header[..], &body].concat();
            let (front, rest) = attached.split_at(Header::len_from(&attached).unwrap());
            for (kind, header, body) in [
                ("Authentication", &header[..], &other_body[..]),
                ("Authentication", &header, &[&[0], &body[..]].concat()),
                ("Truncated", &header, &[]),
                ("Truncated", &header, &body[..55]),
                ("Truncated", &header, &body[..56 + 16_400 + 15]),
                ("Truncated", &header[..header.len() - 1], &body),
                ("Truncated", &[], &body),
                ("Malformed", &whole, &body),
                ("Malformed", &whole[..=header.len()], &body),
                ("NotAccepted", front, rest),
                ("NotAccepted", &attached, rest),
            ] {
                fs::write(stored.slots(), header).unwrap();
                fs::write(&stored.message, body).unwrap();
                let read = bench.read(&stored, &binding);
                assert_eq!(read, Err(kind.to_owned()), "{writer} {layout:?}");
            }
            // As one object, alone and with the body behind it.
            let in_one = bench.stored(layout.profile().into());
            for message in [&header, &whole] {
                in_one.store(message);
                let read = bench.read(&in_one, &binding);
                assert_eq!(read, Err("NotAccepted".to_owned()), "{writer} {layout:?}");
            }
        }
    }
    bench.second.stop();
}
