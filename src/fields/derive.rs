//! From a ring's key to the keys of one field (`R-17`, `R-25`).

use crate::crypto::{Aes256Ctr, KEY_LEN, Mac256};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::stack::{DEEP, wiped};
use std::sync::Arc;

use super::ciphertext::FieldMode;

const VALUE_LABEL: &[u8] = b"ncp-envelope field v1\0";
const INDEX_LABEL: &[u8] = b"ncp-envelope index v1\0";
/// What encrypts the values of one field and mode. The libraries' keys wipe themselves.
pub(super) struct ValueKeys {
    pub(super) mac: Mac256,
    pub(super) cipher: Aes256Ctr,
}

/// `R-17`
pub(super) fn value_keys(key: &DataKey, mode: FieldMode, field: &str) -> Result<Box<ValueKeys>> {
    let info: [&[u8]; 4] = [VALUE_LABEL, &[mode.code()], &field_len(field), field.as_bytes()];
    let keys = wiped::<DEEP, _>(|| {
        let okm = Mac256::new(key.expose_secret()).expand::<{ 2 * KEY_LEN }>(&info);
        let (km, ke) = okm.0.split_first_chunk::<KEY_LEN>()?;
        let (mac, cipher) = (Mac256::new(km), Aes256Ctr::new(ke.first_chunk()?)?);
        Some(Box::new(ValueKeys { mac, cipher }))
    });
    keys.ok_or_else(failed)
}

/// `R-25`
pub(super) fn index_key(key: &DataKey, field: &str, bits: u16) -> Arc<Mac256> {
    let info: [&[u8]; 4] = [INDEX_LABEL, &field_len(field), field.as_bytes(), &bits.to_be_bytes()];
    wiped::<DEEP, _>(|| {
        let ki = Mac256::new(key.expose_secret()).expand::<KEY_LEN>(&info);
        Arc::new(Mac256::new(&ki.0))
    })
}

/// The length of a field's name, which is at most 255 (`R-16`).
fn field_len(field: &str) -> [u8; 2] {
    (field.len() as u16).to_be_bytes()
}

fn failed() -> Error {
    Error::new(ErrorKind::Internal, "the key of a field could not be derived")
}
