//! The other cipher calls on one key: custom keys, signatures and public keys.
//!
//! Promises: an invalid call is refused before it is sent; signatures are returned as the service
//! wrote them.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::endpoint::Api;
use crate::kms::key::cipher::{Key, check_ciphertexts, key_version};
use crate::kms::wire::{custom_key_action, request, response};
use crate::secret::SecretBytes;
use bytes::Bytes;

/// Most bytes of data that one call signs or verifies.
pub const MAX_SIGN_DATA: usize = 8_192;

/// The length of a custom key.
///
/// ```
/// use ncp_envelope::kms::CustomKeyBits;
/// assert_eq!(CustomKeyBits::default(), CustomKeyBits::Bits256);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CustomKeyBits {
    /// 128 bits, 16 bytes.
    Bits128,
    /// 256 bits, 32 bytes.
    #[default]
    Bits256,
    /// 512 bits, 64 bytes.
    Bits512,
}

impl CustomKeyBits {
    /// The number of bits.
    ///
    /// ```
    /// use ncp_envelope::kms::CustomKeyBits;
    /// assert_eq!(CustomKeyBits::Bits512.bits(), 512);
    /// ```
    pub fn bits(self) -> u16 {
        match self {
            Self::Bits128 => 128,
            Self::Bits256 => 256,
            Self::Bits512 => 512,
        }
    }
}

/// A key that the service made at random and encrypted. The service does not keep it. `Debug` does
/// not show the key.
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
/// use ncp_envelope::kms::CustomKeyBits;
/// let custom = key.create_custom_key(CustomKeyBits::Bits128).await?;
/// // The plaintext was not asked for. The ciphertext gives it, whenever it is needed.
/// assert!(custom.plaintext.is_none());
/// assert_eq!(key.decrypt(&custom.ciphertext).await?.expose_secret().len(), 16);
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CustomKey {
    /// The encrypted key; [`Key::decrypt`] decrypts it.
    pub ciphertext: String,
    /// The version of the key that encrypted it.
    pub key_version: Option<u32>,
    /// The key itself, if it was asked for.
    pub plaintext: Option<SecretBytes>,
}

impl Key {
    /// Creates a random key of this length, encrypted under this key.
    ///
    /// # Errors
    /// As the [module's table](crate::kms#errors-of-calls) says.
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
    /// use ncp_envelope::kms::CustomKeyBits;
    /// let custom = key.create_custom_key(CustomKeyBits::Bits256).await?;
    /// assert_eq!((custom.key_version, custom.plaintext.is_none()), (Some(1), true));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn create_custom_key(&self, bits: CustomKeyBits) -> Result<CustomKey> {
        self.custom_key(bits, false).await
    }

    /// Creates a random key of this length, and returns it both encrypted under this key and in
    /// plaintext; `plaintext` is always present.
    ///
    /// # Errors
    /// As the [module's table](crate::kms#errors-of-calls) says.
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
    /// use ncp_envelope::kms::CustomKeyBits;
    /// let custom = key.create_custom_key_with_plaintext(CustomKeyBits::Bits256).await?;
    /// assert_eq!(custom.plaintext.map(|key| key.expose_secret().len()), Some(32));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn create_custom_key_with_plaintext(&self, bits: CustomKeyBits) -> Result<CustomKey> {
        self.custom_key(bits, true).await
    }

    /// Signs up to 8,192 bytes, usually a hash, with an RSA or ECDSA key:
    /// `ncpkms:v{version}:{base64}`.
    ///
    /// Which hash and padding the service applies is not documented; verify with
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if `data` is longer; otherwise as the [module's
    /// table](crate::kms#errors-of-calls) says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # use ncp_envelope::kms::{CreateKey, KeyType};
    /// # let signs = wait(client.keys().create(&CreateKey::new("signs", KeyType::Ecdsa)))??;
    /// # let key = client.key(signs.tag)?;
    /// # wait(async {
    /// let signature = key.sign(b"a hash").await?;
    /// assert!(signature.starts_with("ncpkms:v1:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn sign(&self, data: &[u8]) -> Result<String> {
        let call = "sign";
        self.check_signs(call)?;
        self.call(call, call, signed_body(call, data, None)?, response::signature).await
    }

    /// Whether `signature` is what [`sign`](Self::sign) returned for `data`, with the version of
    /// the key that it names.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] without a call if `data` is longer than 8,192 bytes;
    /// [`ErrorKind::InvalidInput`] without a call unless `signature` is 1 to 65,536 printable ASCII
    /// characters; otherwise as the [module's table](crate::kms#errors-of-calls) says: a version
    /// that is disabled does not verify.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # use ncp_envelope::kms::{CreateKey, KeyType};
    /// # let signs = wait(client.keys().create(&CreateKey::new("signs", KeyType::Ecdsa)))??;
    /// # let key = client.key(signs.tag)?;
    /// # wait(async {
    /// let signature = key.sign(b"a hash").await?;
    /// assert!(key.verify(b"a hash", &signature).await?);
    /// assert!(!key.verify(b"another hash", &signature).await?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn verify(&self, data: &[u8], signature: &str) -> Result<bool> {
        let call = "verify";
        self.check_signs(call)?;
        check_ciphertexts(call, &[signature])?;
        self.call(call, call, signed_body(call, data, Some(signature))?, |answer| {
            response::valid(&answer)
        })
        .await
    }

    /// The public key of an RSA or ECDSA key in PEM: of this version (1 or more), or of the newest.
    /// API 2.0 only.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for version 0 and for API 1.0; otherwise as the
    /// [module's table](crate::kms#errors-of-calls) says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # use ncp_envelope::kms::{CreateKey, KeyType};
    /// # let signs = wait(client.keys().create(&CreateKey::new("signs", KeyType::Ecdsa)))??;
    /// # let key = client.key(signs.tag)?;
    /// # wait(async {
    /// let pem = key.public_key(None).await?;
    /// assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn public_key(&self, version: Option<u32>) -> Result<String> {
        let call = "public key";
        self.client.needs_api_2(call)?;
        self.check_signs(call)?;
        let body = match version {
            Some(0) => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "public key: versions of a key count from 1",
                ));
            }
            Some(version) => format!(r#"{{"keyVersion":{version}}}"#).into(),
            None => request::EMPTY,
        };
        self.call(call, "get-pub-key", body, |answer| response::public_key(&answer)).await
    }

    async fn custom_key(&self, bits: CustomKeyBits, with_plaintext: bool) -> Result<CustomKey> {
        let call = "create custom key";
        self.check_encrypts(call)?;
        let body = request::custom_key(bits.bits(), with_plaintext, self.context())?;
        let len = with_plaintext.then_some(usize::from(bits.bits()) / 8);
        let read = |answer| response::custom_key(answer, len);
        let (ciphertext, version, plaintext) =
            self.call(call, custom_key_action(self.client.api()), body, read).await?;
        let key_version = version.or_else(|| key_version(&ciphertext));
        Ok(CustomKey { ciphertext, key_version, plaintext })
    }
}

impl crate::kms::Client {
    /// Refuses `call` for a client of API 1.0, which does not have it.
    pub(crate) fn needs_api_2(&self, call: &str) -> Result<()> {
        match self.api() {
            Api::V1 => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{call}: api 1.0 does not have this call: choose api 2.0"),
            )),
            Api::V2 => Ok(()),
        }
    }
}

fn signed_body(call: &str, data: &[u8], signature: Option<&str>) -> Result<Bytes> {
    if data.len() > MAX_SIGN_DATA {
        let message = format!(
            "{call}: a signature is made of at most {MAX_SIGN_DATA} bytes, not {}",
            data.len()
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    request::data(data, signature)
}
