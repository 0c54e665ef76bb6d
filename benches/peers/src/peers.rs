//! Other Rust libraries, each as its documentation recommends, with the fastest setting it
//! documents.

use crate::contestant::{Contestant, Entry};
use crate::ours::ready;
use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::aead::Generate;
use aes_gcm::{Aes256Gcm, Key, KeyInit};
use envelopers::{
    CacheOptions, CachingKeyWrapper, EncryptedRecord, EnvelopeCipher, SimpleKeyProvider,
};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::iter;
use std::rc::Rc;
use std::time::Duration;
use tink_core::keyset::Handle;
use tink_core::{Aead, StreamingAead};

/// From here on, the setting for large messages.
const LARGE: usize = 1 << 20;

pub fn entries(len: usize) -> Vec<Entry> {
    tink_aead::init();
    tink_streaming_aead::init();
    let mut entries = Vec::from(Envelopers::entries(None));
    entries.push(Entry::new("Tink for Rust, envelope AEAD", TinkEnvelope::new()));
    entries.push(Entry::new(
        "Tink for Rust, streaming AEAD, 4 KiB segments",
        TinkStreaming::new(&tink_streaming_aead::aes256_gcm_hkdf_4kb_key_template()),
    ));
    if len >= LARGE {
        let template = tink_streaming_aead::aes256_gcm_hkdf_1mb_key_template();
        entries.push(Entry::new(
            "Tink for Rust, streaming AEAD, 1 MiB segments",
            TinkStreaming::new(&template),
        ));
    }
    entries.push(Entry::new("age for Rust, X25519", Age::new()));
    entries.push(Entry::new("aead-stream with aes-gcm, 16 KiB segments", Stream::new()));
    entries
}

type Cipher = EnvelopeCipher<
    CachingKeyWrapper<envelopers::Aes256Gcm, SimpleKeyProvider<envelopers::Aes256Gcm>>,
>;

pub struct Envelopers {
    cipher: Cipher,
    associated: Option<&'static str>,
    record: Option<EncryptedRecord>,
    opened: Vec<u8>,
}

impl Envelopers {
    pub fn entries(associated: Option<&'static str>) -> [Entry; 2] {
        let (plain, encoded) = (Self::new(associated), Self::new(associated));
        [
            Entry::new("envelopers, data key cached", plain),
            Entry::new(
                "envelopers, data key cached, with its encoding",
                EncodedEnvelopers(encoded, Vec::new()),
            ),
        ]
    }

    fn new(associated: Option<&'static str>) -> Self {
        // The defaults give up a key after 10 messages or 100 bytes.
        let options = CacheOptions::default()
            .with_max_age(Duration::from_secs(3_600))
            .with_max_bytes(usize::MAX / 2)
            .with_max_messages(usize::MAX / 2)
            .with_max_entries(1_000);
        let cipher =
            EnvelopeCipher::init(CachingKeyWrapper::new(SimpleKeyProvider::init([7; 16]), options));
        Self { cipher, associated, record: None, opened: Vec::new() }
    }
}

impl Contestant for Envelopers {
    fn encrypt(&mut self, plaintext: &[u8]) {
        let record = match self.associated {
            Some(text) => ready(self.cipher.encrypt_with(plaintext).aad(text).encrypt()),
            None => ready(self.cipher.encrypt(plaintext)),
        };
        self.record = Some(record.unwrap());
    }

    fn decrypt(&mut self) {
        let record = self.record.as_ref().unwrap();
        let opened = match self.associated {
            Some(text) => ready(self.cipher.decrypt_with(record).aad(text).decrypt()),
            None => ready(self.cipher.decrypt(record)),
        };
        self.opened = opened.unwrap();
    }

    /// The parts of its record, without an encoding.
    fn added_bytes(&self, len: usize) -> usize {
        let record = self.record.as_ref().unwrap();
        let beside = record.nonce.len() + record.encrypted_key.len() + record.key_id.len();
        record.ciphertext.len() + beside - len
    }

    fn message(&self) -> &[u8] {
        &self.record.as_ref().unwrap().ciphertext
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

/// Its record as bytes, in the form that is stored.
struct EncodedEnvelopers(Envelopers, Vec<u8>);

impl Contestant for EncodedEnvelopers {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.0.encrypt(plaintext);
        self.1 = self.0.record.as_ref().unwrap().to_vec().unwrap();
    }

    fn decrypt(&mut self) {
        self.0.record = Some(EncryptedRecord::try_from(&self.1[..]).unwrap());
        self.0.decrypt();
    }

    fn message(&self) -> &[u8] {
        &self.1
    }

    fn opened(&self) -> &[u8] {
        &self.0.opened
    }
}

struct TinkEnvelope {
    aead: tink_aead::KmsEnvelopeAead,
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl TinkEnvelope {
    fn new() -> Self {
        let template = tink_aead::aes256_gcm_key_template();
        let remote = tink_aead::new(&Handle::new(&template).unwrap()).unwrap();
        Self {
            aead: tink_aead::KmsEnvelopeAead::new(template, remote),
            message: Vec::new(),
            opened: Vec::new(),
        }
    }
}

impl Contestant for TinkEnvelope {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.message = self.aead.encrypt(plaintext, &[]).unwrap();
    }

    fn decrypt(&mut self) {
        self.opened = self.aead.decrypt(&self.message, &[]).unwrap();
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

struct TinkStreaming {
    aead: Box<dyn StreamingAead>,
    sink: Sink,
    message: Rc<Vec<u8>>,
    opened: Vec<u8>,
}

impl TinkStreaming {
    fn new(template: &tink_proto::KeyTemplate) -> Self {
        let aead = tink_streaming_aead::new(&Handle::new(template).unwrap()).unwrap();
        Self { aead, sink: Sink::default(), message: Rc::default(), opened: Vec::new() }
    }
}

impl Contestant for TinkStreaming {
    fn encrypt(&mut self, plaintext: &[u8]) {
        // The buffer of the previous message is reused.
        *self.sink.0.borrow_mut() = Rc::try_unwrap(std::mem::take(&mut self.message)).unwrap();
        self.sink.0.borrow_mut().clear();
        let mut writer = self.aead.new_encrypting_writer(Box::new(self.sink.clone()), &[]).unwrap();
        writer.write_all(plaintext).unwrap();
        writer.close().unwrap();
        self.message = Rc::new(self.sink.0.take());
    }

    fn decrypt(&mut self) {
        let source = Source(Rc::clone(&self.message), 0);
        let mut reader = self.aead.new_decrypting_reader(Box::new(source), &[]).unwrap();
        self.opened.clear();
        reader.read_to_end(&mut self.opened).unwrap();
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

/// Tink wants a writer and a reader that borrow nothing.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Source(Rc<Vec<u8>>, usize);

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = (&self.0[self.1..]).read(buf)?;
        self.1 += len;
        Ok(len)
    }
}

struct Age {
    identity: age::x25519::Identity,
    recipient: age::x25519::Recipient,
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Age {
    fn new() -> Self {
        let identity = age::x25519::Identity::generate();
        Self { recipient: identity.to_public(), identity, message: Vec::new(), opened: Vec::new() }
    }
}

impl Contestant for Age {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.message.clear();
        let encryptor = age::Encryptor::with_recipients(iter::once(&self.recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(&mut self.message).unwrap();
        writer.write_all(plaintext).unwrap();
        writer.finish().unwrap();
    }

    fn decrypt(&mut self) {
        let decryptor = age::Decryptor::new(&self.message[..]).unwrap();
        let mut reader =
            decryptor.decrypt(iter::once(&self.identity as &dyn age::Identity)).unwrap();
        self.opened.clear();
        reader.read_to_end(&mut self.opened).unwrap();
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

/// A body only: one key for all messages, a random nonce in front, and nothing about how the key is
/// stored.
struct Stream {
    aead: Aes256Gcm,
    segment: Vec<u8>,
    message: Vec<u8>,
    opened: Vec<u8>,
}

const SEGMENT_LEN: usize = 16 * 1_024;
const TAG_LEN: usize = 16;
const PREFIX_LEN: usize = 7;

impl Stream {
    fn new() -> Self {
        let aead = Aes256Gcm::new(&Key::<Aes256Gcm>::generate());
        Self {
            aead,
            segment: Vec::with_capacity(SEGMENT_LEN + TAG_LEN),
            message: Vec::new(),
            opened: Vec::new(),
        }
    }
}

impl Contestant for Stream {
    fn encrypt(&mut self, plaintext: &[u8]) {
        let nonce = Generate::generate();
        let mut encryptor = EncryptorBE32::from_aead(self.aead.clone(), &nonce);
        self.message.clear();
        self.message.extend_from_slice(&nonce);
        let (segments, last) = plaintext.split_at(body_len(plaintext.len(), SEGMENT_LEN));
        for segment in segments.chunks(SEGMENT_LEN) {
            self.segment.clear();
            self.segment.extend_from_slice(segment);
            encryptor.encrypt_next_in_place(&[], &mut self.segment).unwrap();
            self.message.extend_from_slice(&self.segment);
        }
        self.segment.clear();
        self.segment.extend_from_slice(last);
        encryptor.encrypt_last_in_place(&[], &mut self.segment).unwrap();
        self.message.extend_from_slice(&self.segment);
    }

    fn decrypt(&mut self) {
        let (nonce, sealed) = self.message.split_first_chunk::<PREFIX_LEN>().unwrap();
        let mut decryptor = DecryptorBE32::from_aead(self.aead.clone(), &(*nonce).into());
        self.opened.clear();
        let (segments, last) = sealed.split_at(body_len(sealed.len(), SEGMENT_LEN + TAG_LEN));
        for segment in segments.chunks(SEGMENT_LEN + TAG_LEN) {
            self.segment.clear();
            self.segment.extend_from_slice(segment);
            decryptor.decrypt_next_in_place(&[], &mut self.segment).unwrap();
            self.opened.extend_from_slice(&self.segment);
        }
        self.segment.clear();
        self.segment.extend_from_slice(last);
        decryptor.decrypt_last_in_place(&[], &mut self.segment).unwrap();
        self.opened.extend_from_slice(&self.segment);
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

/// How much of `len` comes before the last segment, which is never empty.
fn body_len(len: usize, segment: usize) -> usize {
    (len - 1) / segment * segment
}
