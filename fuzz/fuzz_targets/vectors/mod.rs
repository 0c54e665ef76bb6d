//! The key of the test vectors, so that what is mutated starts as a message that opens, and the
//! same one on every run.

#![allow(dead_code)]

use ncp_envelope::{DataKey, LocalKeyWrapper};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const INDEX: &str = include_str!("../../../tests/vectors/index.json");
pub(crate) const THREE_CHUNKS: &[u8] =
    include_bytes!("../../../tests/vectors/good-three-chunks.ncpe");

pub(crate) fn wrapper() -> LocalKeyWrapper {
    let hex = field("kek");
    let kek: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    LocalKeyWrapper::new(field("key_id"), &DataKey::copy_from(&kek.try_into().expect("32 bytes")))
        .expect("a wrapper")
}

/// The first value of a text field in the index.
fn field(name: &str) -> &'static str {
    let start = INDEX.split_once(&format!("\"{name}\": \"")).expect("the field").1;
    start.split_once('"').expect("its end").0
}

/// The local wrapper never waits.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the local wrapper waited"),
    }
}
