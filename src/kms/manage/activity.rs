//! What was done with a key, and when it was used last (API 2.0).

use crate::error::{Error, ErrorKind, Result};
use crate::kms::endpoint::encode;
use crate::kms::manage::admin::KeyAdmin;
use crate::kms::manage::pages;
use crate::kms::manage::pages::{Cursor, Page};
use crate::kms::time::Timestamp;
use crate::kms::vocabulary::RequestType;
use crate::kms::wire::contract::contract;
use crate::kms::wire::fields::{Answer, Fields};
use serde_json::Value;
use std::fmt::Write;

/// The longest keyword in bytes. The service documents no limit; this one keeps requests within the
/// limits of servers.
const MAX_KEYWORD_LEN: usize = 256;

/// A use of a key. What the service does not report is `None`: the fields are those of its last-use
/// call, and of its log entries by analogy only. [`raw`](Self::raw) has the rest.
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
/// let activity = key.admin().last_use().await?.expect("it was used");
/// assert_eq!(activity.key_tag.as_deref(), Some(emulator.key_tag()));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// When, as the service writes it: ISO 8601, or milliseconds since the Unix epoch.
    pub timestamp: Option<String>,
    /// The key's tag.
    pub key_tag: Option<String>,
    /// The key's name.
    pub key_name: Option<String>,
    /// The key's resource name.
    pub nrn: Option<String>,
    /// Where the call came from.
    pub request_type: Option<RequestType>,
    /// Who made it.
    pub requestor_id: Option<String>,
    /// From which address.
    pub requestor_ip: Option<String>,
    /// How it ended.
    pub result: Option<String>,
    /// What it was.
    pub action: Option<String>,
    /// Of what type.
    pub kind: Option<String>,
    /// What the service says about it.
    pub message: Option<String>,
    /// The whole entry as JSON.
    pub raw: String,
}

/// Which entries of a key's log to list.
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
/// use ncp_envelope::kms::ActivityQuery;
/// use std::time::{Duration, SystemTime};
/// key.encrypt(b"hello").await?;
/// let last_hour = ActivityQuery::new().from(SystemTime::now() - Duration::from_secs(3_600));
/// let page = key.admin().activity_page(&last_hour, 1, 100).await?;
/// assert!(!page.items.is_empty());
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ActivityQuery {
    keyword: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl ActivityQuery {
    /// The entries of the last day, which is the service's default.
    ///
    /// ```
    /// use ncp_envelope::kms::ActivityQuery;
    /// assert_eq!(ActivityQuery::new(), ActivityQuery::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Only entries with this text of 1 to 256 bytes.
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
    /// use ncp_envelope::kms::ActivityQuery;
    /// let empty = ActivityQuery::new().keyword("");
    /// assert!(key.admin().activity_page(&empty, 1, 100).await.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keyword = Some(keyword.into());
        self
    }

    /// Only entries of this time or later; a day ago by default.
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
    /// use ncp_envelope::kms::{ActivityQuery, Timestamp};
    /// let since = ActivityQuery::new().from(Timestamp::from_millis(1_704_067_200_000));
    /// assert!(key.admin().activity_page(&since, 1, 100).await.is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn from(mut self, from: impl Into<Timestamp>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// Only entries of this time or earlier; now by default. Set it to keep pages from shifting
    /// while they are read.
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
    /// use ncp_envelope::kms::ActivityQuery;
    /// use std::time::SystemTime;
    /// let until_now = ActivityQuery::new().to(SystemTime::now());
    /// assert!(key.admin().activity_page(&until_now, 1, 100).await.is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn to(mut self, to: impl Into<Timestamp>) -> Self {
        self.to = Some(to.into());
        self
    }

    fn action(&self, number: u32, size: u16) -> Result<String> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        pages::check(number, size)?;
        let mut action = "activities?".to_owned();
        if let Some(keyword) = &self.keyword {
            if keyword.is_empty() || keyword.len() > MAX_KEYWORD_LEN {
                return invalid(format!(
                    "key activities: a keyword has 1 to {MAX_KEYWORD_LEN} bytes"
                ));
            }
            let _ = write!(action, "keyword={}&", encode(keyword));
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            return invalid(
                "key activities: the time from which is after the time to which".to_owned(),
            );
        }
        for (name, time) in [("timestampFrom", self.from), ("timestampTo", self.to)] {
            if let Some(time) = time {
                let _ = write!(action, "{name}={}&", time.millis());
            }
        }
        let _ = write!(action, "pageNo={number}&pageSize={size}");
        Ok(action)
    }
}

impl KeyAdmin {
    /// One page of the key's log: its number from 1, and how many entries a page has, 1 to 200.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call if the query or a number is out of range;
    /// otherwise as [`KeyAdmin`] says.
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
    /// use ncp_envelope::kms::ActivityQuery;
    /// key.encrypt(b"hello").await?;
    /// let page = key.admin().activity_page(&ActivityQuery::new(), 1, 100).await?;
    /// assert_eq!(page.number, Some(1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn activity_page(
        &self,
        query: &ActivityQuery,
        number: u32,
        size: u16,
    ) -> Result<Page<Activity>> {
        let action = query.action(number, size)?;
        self.key.read("key activities", &action, &["activityLogList"], listed).await
    }

    /// All pages of the key's log, one after the other, 100 entries each.
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
    /// use ncp_envelope::kms::ActivityQuery;
    /// key.encrypt(b"hello").await?;
    /// let mut pages = key.admin().activities(&ActivityQuery::new());
    /// while let Some(page) = pages.next().await? {
    ///     assert!(page.items.iter().all(|activity| activity.action.is_some()));
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn activities(&self, query: &ActivityQuery) -> ActivityPages {
        ActivityPages { admin: self.clone(), query: query.clone(), cursor: Cursor::new() }
    }

    /// When and how the key was last used, or `None` if the service knows of no use.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// assert!(key.admin().last_use().await?.is_none());
    /// key.encrypt(b"hello").await?;
    /// assert!(key.admin().last_use().await?.is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn last_use(&self) -> Result<Option<Activity>> {
        let names = &["timestamp", "kmsKey", "keyTag", "requestor", "api"];
        let read = |answer: &Answer| Ok(last_use(answer));
        self.key.read("last use of key", "last-use-info", names, read).await
    }
}

/// The pages of a key's log, from [`KeyAdmin::activities`].
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
/// use ncp_envelope::kms::ActivityQuery;
/// let mut pages = key.admin().activities(&ActivityQuery::new());
/// let mut entries = 0;
/// while let Some(page) = pages.next().await? {
///     entries += page.items.len();
/// }
/// # let _ = entries;
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ActivityPages {
    admin: KeyAdmin,
    query: ActivityQuery,
    cursor: Cursor,
}

impl ActivityPages {
    /// The next page that has entries, or `None` after the last. After an error, it requests the
    /// same page again.
    ///
    /// # Errors
    /// As for [`KeyAdmin::activity_page`]; [`ErrorKind::Internal`] if the service answers with
    /// another page, and [`ErrorKind::LimitExceeded`] after 10,000 pages.
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
    /// use ncp_envelope::kms::ActivityQuery;
    /// key.encrypt(b"hello").await?;
    /// let mut pages = key.admin().activities(&ActivityQuery::new());
    /// assert!(pages.next().await?.is_some());
    /// assert!(pages.next().await?.is_none());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn next(&mut self) -> Result<Option<Page<Activity>>> {
        let Some((number, size)) = self.cursor.next() else { return Ok(None) };
        let page = self.admin.activity_page(&self.query, number, size).await?;
        Ok(self.cursor.advance(&page)?.then_some(page))
    }
}

fn listed(answer: &Answer) -> Result<Page<Activity>> {
    let fields = answer.fields();
    let list = fields
        .objects("activityLogList")
        .ok_or_else(|| contract("its answer has no list of activities"))??;
    let entry = |entry| {
        let outer = Fields::of(entry);
        // As last use is printed: the groups may be in a `data` of the entry's own.
        let inner = outer.value("data").and_then(Value::as_object).map_or(outer, Fields::of);
        Activity::read(inner, outer)
    };
    let items = list.into_iter().map(entry).collect();
    Ok(Page::new(items, fields))
}

/// The documentation prints the fields both inside and outside of a second `data` within `data`.
fn last_use(answer: &Answer) -> Option<Activity> {
    let outer = answer.fields();
    let Some(Value::Object(inner)) = outer.value("data") else { return None };
    let found = Activity::read(Fields::of(inner), outer);
    let said =
        [&found.timestamp, &found.key_tag, &found.requestor_id, &found.action, &found.result];
    said.iter().any(|text| text.is_some()).then_some(found)
}

impl Activity {
    fn read(fields: Fields<'_>, outer: Fields<'_>) -> Self {
        let text =
            |group: &str, name: &str| fields.object(group).text(name).or_else(|| fields.text(name));
        Self {
            timestamp: fields.text("timestamp").or_else(|| outer.text("timestamp")),
            key_tag: text("kmsKey", "keyTag"),
            key_name: text("kmsKey", "keyName"),
            nrn: text("kmsKey", "nrn"),
            request_type: text("requestor", "requestType").map(|text| text.as_str().into()),
            requestor_id: text("requestor", "id"),
            requestor_ip: text("requestor", "ip"),
            result: text("api", "result"),
            action: text("api", "action"),
            kind: text("api", "type"),
            message: fields
                .text("message")
                .or_else(|| outer.text("message"))
                .filter(|message| !message.is_empty()),
            raw: outer.json(),
        }
    }
}
