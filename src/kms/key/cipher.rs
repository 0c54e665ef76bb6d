//! A key, and the calls that encrypt, decrypt and re-encrypt, one value or several at a time.
//!
//! Promises: an invalid call is refused before it is sent; there are as many results as arguments,
//! in their order; an empty batch makes no call. This module knows nothing of HTTP.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::client::Client;
use crate::kms::call::request::Call;
use crate::kms::call::request::CallOptions;
use crate::kms::vocabulary::KeyType;
use crate::kms::wire::MAX_CIPHERTEXT_LEN;
use crate::kms::wire::request::{Values, body};
use crate::kms::wire::response;
use crate::kms::wire::response::Field;
use crate::secret::SecretBytes;
use crate::wrap::{KeyId, Provider};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Most bytes of plaintext that one call may hold, all its values together.
pub const MAX_CALL_PLAINTEXT: usize = 32_768;
/// Most values that one call may hold. The service documents no limit; this one bounds the answer.
pub const MAX_BATCH_ITEMS: usize = 1_024;
/// Longest context of a convergent key in bytes, before it is encoded.
pub const MAX_CONVERGENT_CONTEXT: usize = 50;
/// Most bytes that an RSA key with 2,048 bits encrypts: 256 - 2 * 32 - 2.
const MAX_RSA_PLAINTEXT: usize = 190;
/// Most bytes of ciphertext that one call may hold: twice what the largest batch of the smallest
/// values comes to.
const MAX_CALL_CIPHERTEXT: usize = 262_144;

/// The longest key tag. Documented ones have 64 characters, but nothing says that others cannot
/// have more.
const MAX_TAG_LEN: usize = 128;

/// One key-encryption key, seen through a [`Client`]. Cheap to clone.
///
/// It is a [`KeyWrapper`](crate::KeyWrapper): it wraps under its own tag. With account credentials
/// it unwraps and rewraps under any tag that its client may use. A token serves one key, so a
/// client with a token refuses other tags.
///
/// Calls fail as the [module's table](crate::kms#errors-of-calls) says. The tag is not checked
/// before the first call.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # let key = client.key(emulator.key_tag())?;
/// # wait(async {
/// let ciphertext = key.encrypt(b"hello").await?;
/// assert_eq!(key.decrypt(&ciphertext).await?.expose_secret(), b"hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct Key {
    pub(crate) client: Client,
    pub(crate) id: KeyId,
    key_type: Option<KeyType>,
    context: Option<Arc<[u8]>>,
}

impl Client {
    /// The key with this tag. Makes no call, so it does not say whether the key exists.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the tag is 1 to 128 printable ASCII characters without
    /// spaces, and neither `.` nor `..`.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().credentials(account).build()?;
    /// assert_eq!(client.key("key-tag")?.id().id(), "key-tag");
    /// assert!(client.key("two words").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key(&self, tag: impl AsRef<str>) -> Result<Key> {
        let tag = tag.as_ref();
        if tag.len() > MAX_TAG_LEN {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a key tag has 1 to {MAX_TAG_LEN} characters, this one has {}", tag.len()),
            ));
        }
        let id = KeyId::new(Provider::NcpKms, self.0.endpoint.zone(), tag)?;
        self.0.base.join(&self.path(id.id(), "encrypt"))?;
        Ok(Key::new(self.clone(), id))
    }
}

impl Key {
    pub(crate) fn new(client: Client, id: KeyId) -> Self {
        Self { client, id, key_type: None, context: None }
    }

    /// The same key with a context of 1 to 50 bytes, which every encrypt, decrypt, re-encrypt and
    /// custom key call then carries.
    ///
    /// Convergent keys need one: the same plaintext in the same context gives the same ciphertext,
    /// and it cannot be decrypted in another context. What other keys do with a context is not
    /// documented. The context is not a secret. As a [`KeyWrapper`](crate::KeyWrapper), the key
    /// uses it only for data keys under its own tag.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// let credentials = Credentials::account("access", "secret")?;
    /// let client = Client::builder().credentials(credentials).build()?;
    /// let column = client.key("tag")?.with_context("customers.email")?;
    /// assert!(column.with_context([0; 51]).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless there are 1 to 50 bytes.
    pub fn with_context(&self, context: impl AsRef<[u8]>) -> Result<Self> {
        let context = context.as_ref();
        if context.is_empty() || context.len() > MAX_CONVERGENT_CONTEXT {
            let message = format!(
                "the context of a convergent key has 1 to {MAX_CONVERGENT_CONTEXT} bytes, not {}",
                context.len()
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self { context: Some(context.into()), ..self.clone() })
    }

    /// The same key with this type, so that what the type cannot do is refused without a call.
    ///
    /// For [`KeyType::Rsa2048`] that is a plaintext of more than 190 bytes, for [`KeyType::Ecdsa`]
    /// all encryption, and for [`KeyType::Aes256`] signatures. The type is not checked with the
    /// service.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// use ncp_envelope::kms::KeyType;
    /// let signs = key.with_type(KeyType::Ecdsa);
    /// assert!(signs.encrypt(b"hello").await.is_err());
    /// assert_eq!(emulator.request_count(), 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_type(&self, key_type: KeyType) -> Self {
        Self { key_type: Some(key_type), ..self.clone() }
    }

    /// The key id: the tag, and the zone of the client's endpoint as a hint.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use ncp_envelope::wrap::ZoneHint;
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().endpoint(Endpoint::Kr).credentials(account).build()?;
    /// let key = client.key("key-tag")?;
    /// assert_eq!((key.id().id(), key.id().zone()), ("key-tag", ZoneHint::Kr));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The client that makes the calls.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// key.encrypt(b"hello").await?;
    /// assert_eq!(key.client().stats().calls, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Encrypts up to 32,768 bytes (190 with an RSA key) to `ncpkms:v{version}:{base64}`, about 4/3
    /// as long.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if `plaintext` is longer (than 190 bytes if the
    /// type was [set](Self::with_type)); otherwise as the module's table says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// let ciphertext = key.encrypt(b"hello").await?;
    /// assert!(ciphertext.starts_with("ncpkms:v1:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn encrypt(&self, plaintext: &[u8]) -> Result<String> {
        only(self.encrypt_slices(&[plaintext]).await?)
    }

    /// Encrypts several values with one call: at most [`MAX_BATCH_ITEMS`] of them and 32,768 bytes
    /// in all.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if that is too much; otherwise as the module's
    /// table says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// let ciphertexts = key.encrypt_many(&["one", "two", "three"]).await?;
    /// assert_eq!((ciphertexts.len(), emulator.request_count()), (3, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn encrypt_many<T: AsRef<[u8]>>(&self, plaintexts: &[T]) -> Result<Vec<String>> {
        let plaintexts: Vec<&[u8]> = plaintexts.iter().map(AsRef::as_ref).collect();
        self.encrypt_slices(&plaintexts).await
    }

    /// Decrypts what [`encrypt`](Self::encrypt) or [`re_encrypt`](Self::re_encrypt) returned, with
    /// the key version that it names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call unless `ciphertext` is 1 to 65,536 printable
    /// ASCII characters; otherwise as the module's table says. The service has no code of its own
    /// for a ciphertext that was changed: expect `InvalidInput` then.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// let ciphertext = key.encrypt(b"hello").await?;
    /// assert_eq!(key.decrypt(&ciphertext).await?.expose_secret(), b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn decrypt(&self, ciphertext: &str) -> Result<SecretBytes> {
        only(self.decrypt_strs(&[ciphertext]).await?)
    }

    /// Decrypts several values with one call: at most [`MAX_BATCH_ITEMS`] of them and 262,144
    /// characters in all. If one cannot be decrypted, the call fails. The service's own limit of 32
    /// KB applies too; how it counts ciphertexts is not documented.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if that is too much; otherwise as for
    /// [`decrypt`](Self::decrypt).
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// let ciphertexts = key.encrypt_many(&["one", "two"]).await?;
    /// let plaintexts = key.decrypt_many(&ciphertexts).await?;
    /// assert_eq!(plaintexts[1].expose_secret(), b"two");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn decrypt_many<T: AsRef<str>>(&self, ciphertexts: &[T]) -> Result<Vec<SecretBytes>> {
        let ciphertexts: Vec<&str> = ciphertexts.iter().map(AsRef::as_ref).collect();
        self.decrypt_strs(&ciphertexts).await
    }

    /// Moves a ciphertext to the key's newest version inside the service; the plaintext does not
    /// leave it.
    ///
    /// # Errors
    /// As for [`decrypt`](Self::decrypt).
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// use ncp_envelope::kms::key_version;
    /// let old = key.encrypt(b"hello").await?;
    /// key.admin().rotate().await?;
    /// let new = key.re_encrypt(&old).await?;
    /// assert_eq!((key_version(&old), key_version(&new)), (Some(1), Some(2)));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn re_encrypt(&self, ciphertext: &str) -> Result<String> {
        only(self.re_encrypt_strs(&[ciphertext]).await?)
    }

    /// Moves several ciphertexts to the key's newest version with one call, within the limits of
    /// [`decrypt_many`](Self::decrypt_many).
    ///
    /// # Errors
    /// As for [`decrypt_many`](Self::decrypt_many).
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let key = client.key(emulator.key_tag())?;
    /// # wait(async {
    /// let old = key.encrypt_many(&["one", "two"]).await?;
    /// key.admin().rotate().await?;
    /// let new = key.re_encrypt_many(&old).await?;
    /// assert!(new.iter().all(|ciphertext| ciphertext.starts_with("ncpkms:v2:")));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn re_encrypt_many<T: AsRef<str>>(&self, ciphertexts: &[T]) -> Result<Vec<String>> {
        let ciphertexts: Vec<&str> = ciphertexts.iter().map(AsRef::as_ref).collect();
        self.re_encrypt_strs(&ciphertexts).await
    }

    pub(crate) async fn encrypt_slices(&self, plaintexts: &[&[u8]]) -> Result<Vec<String>> {
        let call = "encrypt";
        if plaintexts.is_empty() {
            return Ok(Vec::new());
        }
        check_count(call, plaintexts.len())?;
        self.check_encrypts(call)?;
        if self.key_type == Some(KeyType::Rsa2048)
            && plaintexts.iter().any(|plaintext| plaintext.len() > MAX_RSA_PLAINTEXT)
        {
            let message = format!(
                "{call}: an rsa key with 2048 bits encrypts at most {MAX_RSA_PLAINTEXT} bytes"
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        check_total(call, plaintexts.iter().map(|plaintext| plaintext.len()), MAX_CALL_PLAINTEXT)?;
        let body = body(Values::Plaintext(plaintexts), self.context())?;
        self.call(call, call, body, |answer| {
            response::ciphertexts(answer, Field::Ciphertext, plaintexts.len())
        })
        .await
    }

    pub(crate) async fn decrypt_strs(&self, ciphertexts: &[&str]) -> Result<Vec<SecretBytes>> {
        let call = "decrypt";
        if ciphertexts.is_empty() {
            return Ok(Vec::new());
        }
        self.check_encrypts(call)?;
        check_ciphertexts(call, ciphertexts)?;
        let body = body(Values::Ciphertext(ciphertexts), self.context())?;
        self.call(call, call, body, |answer| response::plaintexts(answer, ciphertexts.len())).await
    }

    pub(crate) async fn re_encrypt_strs(&self, ciphertexts: &[&str]) -> Result<Vec<String>> {
        let call = "re-encrypt";
        if ciphertexts.is_empty() {
            return Ok(Vec::new());
        }
        self.check_encrypts(call)?;
        check_ciphertexts(call, ciphertexts)?;
        let body = body(Values::Ciphertext(ciphertexts), self.context())?;
        self.call(call, self.client.re_encrypt_action(), body, |answer| {
            response::ciphertexts(answer, Field::NewCiphertext, ciphertexts.len())
        })
        .await
    }

    pub(crate) fn context(&self) -> Option<&[u8]> {
        self.context.as_deref()
    }

    /// Refuses encryption with a key whose type only signs.
    pub(crate) fn check_encrypts(&self, call: &str) -> Result<()> {
        match self.key_type {
            Some(KeyType::Ecdsa) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{call}: an ecdsa key signs, it does not encrypt"),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses signatures with a key whose type only encrypts.
    pub(crate) fn check_signs(&self, call: &str) -> Result<()> {
        match self.key_type {
            Some(KeyType::Aes256) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{call}: an aes key encrypts, it does not sign"),
            )),
            _ => Ok(()),
        }
    }

    /// A cipher call. These are idempotent, so each may be retried.
    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        action: &str,
        body: Bytes,
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        let call = Call {
            operation,
            tag: self.id.id().into(),
            action: action.into(),
            body,
            options: CallOptions::default(),
        };
        let answer = self.client.send(&call).await?;
        read(answer).map_err(|error| call.failed(&error))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Key");
        out.field("id", &self.id).field("client", &self.client);
        if let Some(key_type) = &self.key_type {
            out.field("type", key_type);
        }
        if let Some(context) = &self.context {
            out.field("context_len", &context.len());
        }
        out.finish()
    }
}

/// The version of the key that made a ciphertext or signature: 3 for `ncpkms:v3:…`. For display and
/// scheduling, never for trust (`F-30`).
///
/// ```
/// use ncp_envelope::kms::key_version;
/// assert_eq!(key_version("ncpkms:v3:AAAA"), Some(3));
/// assert_eq!(key_version("AAAA"), None);
/// ```
pub fn key_version(ciphertext: &str) -> Option<u32> {
    let digits = ciphertext.strip_prefix("ncpkms:v")?.split_once(':')?.0;
    // The parser of numbers would accept a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
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
        let message = format!(
            "{call}: a call holds at most {limit} bytes in all its values together, not {total}"
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(())
}

pub(crate) fn check_ciphertexts(call: &str, ciphertexts: &[&str]) -> Result<()> {
    check_count(call, ciphertexts.len())?;
    for text in ciphertexts {
        if text.is_empty()
            || text.len() > MAX_CIPHERTEXT_LEN
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let message = format!(
                "{call}: a ciphertext or signature is 1 to {MAX_CIPHERTEXT_LEN} printable ascii \
                 characters without spaces"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
    }
    check_total(call, ciphertexts.iter().map(|text| text.len()), MAX_CALL_CIPHERTEXT)
}
