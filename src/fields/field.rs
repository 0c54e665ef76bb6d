//! A field: a named use of a key ring.

use super::ciphertext::FieldMode;
use super::column::{Column, SecretColumn};
use super::index::BlindIndex;
use super::ring::KeyRing;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A named use of a key ring. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Field {
    ring: KeyRing,
    name: Arc<str>,
    mode: FieldMode,
    bits: u16,
}

fn later<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "later"))
}

impl Field {
    pub(super) fn new(ring: KeyRing, name: &str) -> Result<Self> {
        Ok(Self { ring, name: name.into(), mode: FieldMode::Randomized, bits: 128 })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its ring.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// The same field, which encrypts in this mode. Decryption takes both.
    #[must_use]
    pub fn with_mode(mut self, mode: FieldMode) -> Self {
        self.mode = mode;
        self
    }

    /// The same field, with indexes of this many bits: 8 to 256, 128 unless set.
    pub fn with_index_bits(mut self, bits: u16) -> Result<Self> {
        self.bits = bits;
        Ok(self)
    }

    /// Encrypts a value.
    pub fn encrypt(&self, _value: impl AsRef<[u8]>, _row: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        later()
    }

    /// As [`encrypt`](Self::encrypt), into a buffer in place of what was there.
    pub fn encrypt_into(
        &self,
        _value: impl AsRef<[u8]>,
        _row: impl AsRef<[u8]>,
        _out: &mut Vec<u8>,
    ) -> Result<()> {
        later()
    }

    /// As [`encrypt`](Self::encrypt), as text.
    pub fn encrypt_text(&self, _value: impl AsRef<[u8]>, _row: impl AsRef<[u8]>) -> Result<String> {
        later()
    }

    /// Decrypts a value.
    pub fn decrypt(
        &self,
        _ciphertext: impl AsRef<[u8]>,
        _row: impl AsRef<[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        later()
    }

    /// As [`decrypt`](Self::decrypt), into a buffer in place of what was there.
    pub fn decrypt_into(
        &self,
        _ciphertext: impl AsRef<[u8]>,
        _row: impl AsRef<[u8]>,
        _out: &mut Vec<u8>,
    ) -> Result<()> {
        later()
    }

    /// Decrypts the text form.
    pub fn decrypt_text(
        &self,
        _text: impl AsRef<str>,
        _row: impl AsRef<[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        later()
    }

    /// The blind index of a value, with the ring's newest index key.
    pub fn index(&self, _value: impl AsRef<[u8]>) -> Result<BlindIndex> {
        later()
    }

    /// As [`index`](Self::index), with the index key of this number.
    pub fn index_under(&self, _number: u32, _value: impl AsRef<[u8]>) -> Result<BlindIndex> {
        later()
    }

    /// The indexes of a value with every index key of the ring, newest first.
    pub fn indexes(&self, _value: impl AsRef<[u8]>) -> Result<Vec<BlindIndex>> {
        later()
    }

    /// Encrypts many values, each with its row, on all cores.
    pub fn encrypt_many<V, R>(&self, _rows: &[(V, R)]) -> Result<Column>
    where
        V: AsRef<[u8]> + Sync,
        R: AsRef<[u8]> + Sync,
    {
        later()
    }

    /// Decrypts many ciphertexts, each with its row, on all cores.
    pub fn decrypt_many<C, R>(&self, _rows: &[(C, R)]) -> Result<SecretColumn>
    where
        C: AsRef<[u8]> + Sync,
        R: AsRef<[u8]> + Sync,
    {
        later()
    }

    /// The indexes of many values, on all cores.
    pub fn index_many<V: AsRef<[u8]> + Sync>(&self, _values: &[V]) -> Result<Column> {
        later()
    }
}
