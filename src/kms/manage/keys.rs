//! The account's keys: creating and listing them (API 2.0).

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::client::Client;
use crate::kms::call::request::Call;
use crate::kms::call::request::CallOptions;
use crate::kms::endpoint::Endpoint;
use crate::kms::manage::describe::KeyInfo;
use crate::kms::manage::pages;
use crate::kms::manage::pages::{Cursor, Page};
use crate::kms::vocabulary::{KeyType, Protection, is_key_name};
use crate::kms::wire::contract::contract;
use crate::kms::wire::fields::{Answer, Fields};
use crate::kms::wire::request;
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/kms/v1/keys";
/// Longest automatic rotation period in days.
const MAX_ROTATION_DAYS: u16 = 730;

/// The account's keys, from [`Client::keys`].
///
/// A client of API 1.0 has none of these calls, which is [`ErrorKind::InvalidInput`]; a client that
/// only has a token gets [`ErrorKind::Credentials`]. Neither makes a call. Otherwise calls fail as
/// the [module's table](crate::kms#errors-of-calls) says.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # wait(async {
/// use ncp_envelope::kms::{CreateKey, KeyType};
/// let created = client.keys().create(&CreateKey::new("orders", KeyType::Aes256)).await?;
/// assert!(client.key(&created.tag)?.encrypt(b"hello").await.is_ok());
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keys {
    client: Client,
}

impl Client {
    /// The account's keys.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// let page = client.keys().page(1, 100).await?;
    /// assert!(page.items.iter().any(|info| info.tag == emulator.key_tag()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn keys(&self) -> Keys {
        Keys { client: self.clone() }
    }
}

impl Keys {
    /// Creates a key. Not retried once the service may have seen it: after
    /// [`ErrorKind::Unavailable`], look whether the key exists.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call if the request is invalid; otherwise as [`Keys`]
    /// says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// let created = client.keys().create(&CreateKey::new("orders", KeyType::Rsa2048)).await?;
    /// assert_eq!(created.name.as_deref(), Some("orders"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn create(&self, key: &CreateKey) -> Result<KeyInfo> {
        let operation = "create key";
        self.client.needs_account(operation)?;
        let body = key.body(self.client.endpoint())?;
        let options = CallOptions::change(Method::POST).giving(&["keyTag"]).at(PATH.to_owned());
        let call = self.call(operation, options, body);
        let answer = self.client.send(&call).await?;
        Answer::read(&answer)
            .and_then(|answer| KeyInfo::read(answer.fields()))
            .map_err(|error| call.failed(&error))
    }

    /// One page of the keys: its number from 1, and how many entries a page has, 1 to 200.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call if a number is out of range; otherwise as
    /// [`Keys`] says.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// let page = client.keys().page(1, 100).await?;
    /// assert_eq!((page.number, page.total), (Some(1), Some(page.items.len() as u64)));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn page(&self, number: u32, size: u16) -> Result<Page<KeyInfo>> {
        let operation = "list keys";
        self.client.needs_account(operation)?;
        pages::check(number, size)?;
        let call = self.call(
            operation,
            CallOptions::read(&["keyList"]).at(format!("{PATH}?pageNo={number}&pageSize={size}")),
            Bytes::new(),
        );
        let answer = self.client.send(&call).await?;
        Answer::read(&answer)
            .and_then(|answer| listed(&answer))
            .map_err(|error| call.failed(&error))
    }

    /// All pages, one after the other, 100 keys each.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// let mut pages = client.keys().pages();
    /// while let Some(page) = pages.next().await? {
    ///     for info in page.items {
    ///         println!("{} {:?}", info.tag, info.status);
    ///     }
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn pages(&self) -> KeyPages {
        KeyPages { keys: self.clone(), cursor: Cursor::new() }
    }

    /// All pages, one after the other, 1 to 200 keys each.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for another size.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// client.keys().create(&CreateKey::new("orders", KeyType::Aes256)).await?;
    /// let mut pages = client.keys().pages_of(1)?;
    /// assert_eq!(pages.next().await?.map(|page| page.items.len()), Some(1));
    /// assert!(client.keys().pages_of(201).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn pages_of(&self, size: u16) -> Result<KeyPages> {
        Ok(KeyPages { keys: self.clone(), cursor: Cursor::with_size(size)? })
    }

    fn call(&self, operation: &'static str, options: CallOptions, body: Bytes) -> Call<'static> {
        let options = options.by_account();
        Call { operation, tag: "".into(), action: "".into(), body, options }
    }
}

/// The pages of all keys, from [`Keys::pages`].
///
/// Keys that are created or deleted meanwhile may be missing or appear twice.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # wait(async {
/// let mut pages = client.keys().pages();
/// let mut tags = Vec::new();
/// while let Some(page) = pages.next().await? {
///     tags.extend(page.items.into_iter().map(|info| info.tag));
/// }
/// assert!(tags.iter().any(|tag| tag == emulator.key_tag()));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyPages {
    keys: Keys,
    cursor: Cursor,
}

impl KeyPages {
    /// The next page that has keys, or `None` after the last. After an error, it requests the same
    /// page again.
    ///
    /// # Errors
    /// As for [`Keys::page`]; [`ErrorKind::Internal`] if the service answers with another page, and
    /// [`ErrorKind::LimitExceeded`] after 10,000 pages.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// let mut pages = client.keys().pages();
    /// assert!(pages.next().await?.is_some());
    /// assert!(pages.next().await?.is_none());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn next(&mut self) -> Result<Option<Page<KeyInfo>>> {
        let Some((number, size)) = self.cursor.next() else { return Ok(None) };
        let page = self.keys.page(number, size).await?;
        Ok(self.cursor.advance(&page)?.then_some(page))
    }
}

/// The properties of a new key.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # wait(async {
/// use ncp_envelope::kms::{CreateKey, KeyType};
/// let orders = CreateKey::new("orders", KeyType::Aes256).auto_rotation(Some(30));
/// let created = client.keys().create(&orders).await?;
/// assert_eq!(created.rotation_period_days, Some(30));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey {
    name: String,
    key_type: KeyType,
    memo: Option<String>,
    convergent: bool,
    rotation: Option<Option<u16>>,
    protection: Option<Protection>,
}

impl CreateKey {
    /// A key of this type without automatic rotation. Names are unique in a key store and have 3 to
    /// 15 letters, digits, `-` and `_`, the first of them a letter.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// // A name has at least 3 characters.
    /// let short = CreateKey::new("ab", KeyType::Aes256);
    /// assert!(client.keys().create(&short).await.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(name: impl Into<String>, key_type: KeyType) -> Self {
        Self {
            name: name.into(),
            key_type,
            memo: None,
            convergent: false,
            rotation: None,
            protection: None,
        }
    }

    /// A memo of up to 100 characters.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// let orders = CreateKey::new("orders", KeyType::Aes256).memo("of the shop");
    /// assert_eq!(client.keys().create(&orders).await?.memo.as_deref(), Some("of the shop"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn memo(mut self, memo: impl Into<String>) -> Self {
        self.memo = Some(memo.into());
        self
    }

    /// Whether the key is convergent: the same plaintext in the same context gives the same
    /// ciphertext. [`KeyType::Aes256`] only.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// let emails = CreateKey::new("emails", KeyType::Aes256).convergent(true);
    /// let tag = client.keys().create(&emails).await?.tag;
    /// let column = client.key(tag)?.with_context("customers.email")?;
    /// assert_eq!(column.encrypt(b"a@b.example").await?, column.encrypt(b"a@b.example").await?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn convergent(mut self, convergent: bool) -> Self {
        self.convergent = convergent;
        self
    }

    /// Rotates the key automatically after this many days, 1 to 730; `None` is the service's
    /// default of 90.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType};
    /// let orders = CreateKey::new("orders", KeyType::Aes256).auto_rotation(None);
    /// assert_eq!(client.keys().create(&orders).await?.rotation_period_days, Some(90));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn auto_rotation(mut self, period_days: Option<u16>) -> Self {
        self.rotation = Some(period_days);
        self
    }

    /// How the key is stored. By default [`Protection::Basic`], or nothing at [`Endpoint::Gov`],
    /// which does not document the choice.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")] {
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # wait(async {
    /// use ncp_envelope::kms::{CreateKey, KeyType, Protection};
    /// let orders = CreateKey::new("orders", KeyType::Aes256).protection(Protection::CommonHsm);
    /// assert_eq!(client.keys().create(&orders).await?.protection, Some(Protection::CommonHsm));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn protection(mut self, protection: Protection) -> Self {
        self.protection = Some(protection);
        self
    }

    fn body(&self, endpoint: &Endpoint) -> Result<Bytes> {
        check_name(&self.name)?;
        if self.convergent && self.key_type != KeyType::Aes256 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "create key: only an AES256 key can be convergent",
            ));
        }
        let mut body = json!({ "keyName": self.name, "keyType": self.key_type.as_str(),
            "isAutoRotation": self.rotation.is_some() });
        if let Some(memo) = &self.memo {
            body["memo"] = json!(memo);
        }
        if self.convergent {
            body["isConvergent"] = json!(true);
        }
        if let Some(Some(days)) = self.rotation {
            check_rotation_period(days)?;
            body["rotationPeriod"] = json!(days);
        }
        match (&self.protection, endpoint) {
            (Some(protection), _) => body["protectionType"] = json!(protection.as_str()),
            (None, Endpoint::Gov) => {}
            (None, _) => body["protectionType"] = json!(Protection::Basic.as_str()),
        }
        Ok(request::json(&body))
    }
}

/// Refuses a name that the service does not accept.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if !is_key_name(name) {
        let message =
            "a key's name has 3 to 15 letters, digits, - and _, the first of them a letter";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Refuses a period that the service does not accept.
pub(crate) fn check_rotation_period(days: u16) -> Result<()> {
    if !(1..=MAX_ROTATION_DAYS).contains(&days) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("a rotation period has 1 to {MAX_ROTATION_DAYS} days, not {days}"),
        ));
    }
    Ok(())
}

fn listed(answer: &Answer) -> Result<Page<KeyInfo>> {
    let fields = answer.fields();
    let list =
        fields.objects("keyList").ok_or_else(|| contract("its answer has no list of keys"))??;
    let items =
        list.into_iter().map(|entry| KeyInfo::read(Fields::of(entry))).collect::<Result<_>>()?;
    Ok(Page::new(items, fields))
}
