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

/// Longest keyword in bytes. The service documents none; this one keeps requests in the bounds of
/// servers.
const MAX_KEYWORD_LEN: usize = 256;

/// A use of a key. What the service does not tell is `None`: the fields are those of its last-use
/// call, and of its log entries by analogy only. [`raw`](Self::raw) has the rest.
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

/// Which entries of a key's log are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ActivityQuery {
    keyword: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl ActivityQuery {
    /// Those of the last day, which is the service's choice.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those with this text of 1 to 256 bytes.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keyword = Some(keyword.into());
        self
    }

    /// Those of this time or later; a day ago unless set.
    #[must_use]
    pub fn from(mut self, from: impl Into<Timestamp>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// Those of this time or earlier; now unless set. Setting it keeps pages from shifting while
    /// they are read.
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
    pub fn activities(&self, query: &ActivityQuery) -> ActivityPages {
        ActivityPages { admin: self.clone(), query: query.clone(), cursor: Cursor::new() }
    }

    /// When and how the key was used last, or `None` if the service knows of no use.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn last_use(&self) -> Result<Option<Activity>> {
        let names = &["timestamp", "kmsKey", "keyTag", "requestor", "api"];
        let read = |answer: &Answer| Ok(last_use(answer));
        self.key.read("last use of key", "last-use-info", names, read).await
    }
}

/// A walk through a key's log, from [`KeyAdmin::activities`].
#[derive(Debug, Clone)]
pub struct ActivityPages {
    admin: KeyAdmin,
    query: ActivityQuery,
    cursor: Cursor,
}

impl ActivityPages {
    /// The next page that has entries, or `None` after the last. After an error, asks for the same
    /// page again.
    ///
    /// # Errors
    /// As for [`KeyAdmin::activity_page`]; [`ErrorKind::Internal`] if the service answers with
    /// another page, and [`ErrorKind::LimitExceeded`] after 10,000 pages.
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
