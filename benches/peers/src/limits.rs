//! The limits: the bare primitive without a format, and copying.

use crate::contestant::{Contestant, Entry};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::hint::black_box;

const CHUNK_LEN: usize = 16 * 1_024;
const TAG_LEN: usize = 16;

pub fn entries(_: usize) -> Vec<Entry> {
    vec![
        bare("limit: AES-256-GCM of aws-lc-rs, 16 KiB chunks, no format"),
        Entry::new("memcpy", Copy { message: Vec::new(), opened: Vec::new() }),
    ]
}

pub fn bare(name: &'static str) -> Entry {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    Entry::new(name, Bare { key, message: Vec::new(), opened: Vec::new() })
}

/// One key, a counter as nonce, out of place into reused buffers.
struct Bare {
    key: LessSafeKey,
    message: Vec<u8>,
    opened: Vec<u8>,
}

fn nonce(index: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

impl Contestant for Bare {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.message.resize(plaintext.len() + plaintext.len().div_ceil(CHUNK_LEN) * TAG_LEN, 0);
        let sealed = self.message.chunks_mut(CHUNK_LEN + TAG_LEN);
        for (index, (chunk, out)) in plaintext.chunks(CHUNK_LEN).zip(sealed).enumerate() {
            let (out, tag) = out.split_at_mut(chunk.len());
            self.key
                .seal_out_of_place_scatter(nonce(index), Aad::empty(), chunk, out, &[], tag)
                .unwrap();
        }
        black_box(&self.message);
    }

    fn decrypt(&mut self) {
        let sealed = self.message.chunks(CHUNK_LEN + TAG_LEN);
        self.opened.resize(self.message.len() - sealed.len() * TAG_LEN, 0);
        for (index, (chunk, out)) in sealed.zip(self.opened.chunks_mut(CHUNK_LEN)).enumerate() {
            let (chunk, tag) = chunk.split_at(chunk.len() - TAG_LEN);
            self.key.open_separate_gather(nonce(index), Aad::empty(), chunk, tag, out).unwrap();
        }
        black_box(&self.opened);
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

struct Copy {
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Contestant for Copy {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.message.resize(plaintext.len(), 0);
        self.message.copy_from_slice(plaintext);
        black_box(&self.message);
    }

    fn decrypt(&mut self) {
        self.opened.resize(self.message.len(), 0);
        self.opened.copy_from_slice(black_box(&self.message));
        black_box(&self.opened);
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}
