//! The cipher calls on one key: encrypt, decrypt, re-encrypt, one value or several at a time.
//!
//! Promises: what cannot be a valid call is refused before it is made; results are as many as the arguments and in their order; an
//! empty batch makes no call. This module knows nothing of HTTP.

use super::client::Client;
use super::send::Call;
use super::wire::MAX_CIPHERTEXT_LEN;
use super::wire::request::{Values, body};
use super::wire::response::{self, Field};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::{KeyId, KeyPayload};
use std::fmt;
use zeroize::Zeroizing;

/// Most bytes of plaintext that one call may hold, all its values together.
pub const MAX_CALL_PLAINTEXT: usize = 32_768;
/// Most values that one call may hold. The service documents no limit; this one bounds the answer.
pub const MAX_BATCH_ITEMS: usize = 1_024;
/// Most bytes of ciphertext that one call may hold: twice what the largest batch of the smallest values comes to.
const MAX_CALL_CIPHERTEXT: usize = 262_144;

/// One key-encryption key, seen through a [`Client`]. Cheap to clone.
///
/// It is a [`KeyWrapper`](crate::KeyWrapper): it wraps under its own tag, and with account credentials unwraps and rewraps under any tag
/// that its client may use. A token serves one key, so a client with a token refuses other tags.
///
/// Calls fail as the [module's table](super#errors-of-calls) says. The tag is not checked before the first call.
#[derive(Clone)]
pub struct Key {
    pub(super) client: Client,
    pub(super) id: KeyId,
}

impl Key {
    pub(super) fn new(client: Client, id: KeyId) -> Self {
        Self { client, id }
    }

    /// The key's name: its tag, and the zone of the client's endpoint as a hint.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The client that makes the calls.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Encrypts up to 32,768 bytes (190 with an RSA key) to `ncpkms:v{version}:{base64}`, about 4/3 as long.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if `plaintext` is longer; otherwise as the module's table says.
    pub async fn encrypt(&self, plaintext: &[u8]) -> Result<String> {
        only(self.encrypt_slices(&[plaintext]).await?)
    }

    /// Encrypts several values with one call: at most [`MAX_BATCH_ITEMS`] of them and 32,768 bytes in all.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if that is too much; otherwise as the module's table says.
    pub async fn encrypt_many<T: AsRef<[u8]>>(&self, plaintexts: &[T]) -> Result<Vec<String>> {
        let plaintexts: Vec<&[u8]> = plaintexts.iter().map(AsRef::as_ref).collect();
        self.encrypt_slices(&plaintexts).await
    }

    /// Decrypts what [`encrypt`](Self::encrypt) or [`re_encrypt`](Self::re_encrypt) returned, with whichever version it names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call unless `ciphertext` is 1 to 65,536 printable ASCII characters; otherwise as the
    /// module's table says. The service has no code of its own for a ciphertext that was changed: expect `InvalidInput` then.
    pub async fn decrypt(&self, ciphertext: &str) -> Result<KeyPayload> {
        only(self.decrypt_strs(&[ciphertext]).await?)
    }

    /// Decrypts several values with one call: at most [`MAX_BATCH_ITEMS`] of them and 262,144 characters in all. One that cannot be
    /// decrypted fails the call. The service's own limit of 32 KB counts too; how it counts ciphertexts is not documented.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if that is too much; otherwise as for [`decrypt`](Self::decrypt).
    pub async fn decrypt_many<T: AsRef<str>>(&self, ciphertexts: &[T]) -> Result<Vec<KeyPayload>> {
        let ciphertexts: Vec<&str> = ciphertexts.iter().map(AsRef::as_ref).collect();
        self.decrypt_strs(&ciphertexts).await
    }

    /// Moves a ciphertext to the key's newest version inside the service; the plaintext does not leave it.
    ///
    /// # Errors
    /// As for [`decrypt`](Self::decrypt).
    pub async fn re_encrypt(&self, ciphertext: &str) -> Result<String> {
        only(self.re_encrypt_strs(&[ciphertext]).await?)
    }

    /// Moves several ciphertexts to the key's newest version with one call, within the limits of [`decrypt_many`](Self::decrypt_many).
    ///
    /// # Errors
    /// As for [`decrypt_many`](Self::decrypt_many).
    pub async fn re_encrypt_many<T: AsRef<str>>(&self, ciphertexts: &[T]) -> Result<Vec<String>> {
        let ciphertexts: Vec<&str> = ciphertexts.iter().map(AsRef::as_ref).collect();
        self.re_encrypt_strs(&ciphertexts).await
    }

    pub(super) async fn encrypt_slices(&self, plaintexts: &[&[u8]]) -> Result<Vec<String>> {
        let call = "encrypt";
        if plaintexts.is_empty() {
            return Ok(Vec::new());
        }
        check_count(call, plaintexts.len())?;
        check_total(call, plaintexts.iter().map(|plaintext| plaintext.len()), MAX_CALL_PLAINTEXT)?;
        self.call(call, call, Values::Plaintext(plaintexts), |answer| response::ciphertexts(answer, Field::Ciphertext, plaintexts.len()))
            .await
    }

    pub(super) async fn decrypt_strs(&self, ciphertexts: &[&str]) -> Result<Vec<KeyPayload>> {
        let call = "decrypt";
        if ciphertexts.is_empty() {
            return Ok(Vec::new());
        }
        check_ciphertexts(call, ciphertexts)?;
        self.call(call, call, Values::Ciphertext(ciphertexts), |answer| response::plaintexts(answer, ciphertexts.len())).await
    }

    pub(super) async fn re_encrypt_strs(&self, ciphertexts: &[&str]) -> Result<Vec<String>> {
        let call = "re-encrypt";
        if ciphertexts.is_empty() {
            return Ok(Vec::new());
        }
        check_ciphertexts(call, ciphertexts)?;
        self.call(call, self.client.re_encrypt_action(), Values::Ciphertext(ciphertexts), |answer| {
            response::ciphertexts(answer, Field::NewCiphertext, ciphertexts.len())
        })
        .await
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        action: &str,
        values: Values<'_>,
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        // Contexts of convergent keys are not offered yet; the wire format has a place for them.
        let call = Call { operation, tag: self.id.id(), action, body: body(values, None)? };
        let answer = self.client.send(&call).await?;
        read(answer).map_err(|error| call.failed(&error))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("client", &self.client).finish()
    }
}

fn only<T>(mut results: Vec<T>) -> Result<T> {
    match (results.pop(), results.is_empty()) {
        (Some(result), true) => Ok(result),
        _ => Err(Error::new(ErrorKind::Internal, "a call with one value has not one result")),
    }
}

fn check_count(call: &str, count: usize) -> Result<()> {
    if count > MAX_BATCH_ITEMS {
        let message = format!("{call}: a call holds at most {MAX_BATCH_ITEMS} values, not {count}");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(())
}

fn check_total(call: &str, lengths: impl Iterator<Item = usize>, limit: usize) -> Result<()> {
    let total = lengths.fold(0, usize::saturating_add);
    if total > limit {
        let message = format!("{call}: a call holds at most {limit} bytes in all its values together, not {total}");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(())
}

fn check_ciphertexts(call: &str, ciphertexts: &[&str]) -> Result<()> {
    check_count(call, ciphertexts.len())?;
    for text in ciphertexts {
        if text.is_empty() || text.len() > MAX_CIPHERTEXT_LEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("{call}: a ciphertext is 1 to {MAX_CIPHERTEXT_LEN} printable ascii characters without spaces");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
    }
    check_total(call, ciphertexts.iter().map(|text| text.len()), MAX_CALL_CIPHERTEXT)
}
