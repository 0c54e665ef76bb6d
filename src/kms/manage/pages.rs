//! Lists that the service returns page by page.
//!
//! Promises: no entry is skipped and no list is endless; a page that failed is requested again by
//! the next call.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::wire::contract::contract;
use crate::kms::wire::fields::Fields;

/// Most entries of a page.
pub const MAX_PAGE_SIZE: u16 = 200;
/// Entries of a page by default, which is the service's default.
const PAGE_SIZE: u16 = 100;
/// The most pages of one list: a bound for a service that never ends it.
const MAX_PAGES: u32 = 10_000;

/// One page of a list. What the service does not report is `None`.
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
/// assert_eq!((page.number, page.pages, page.items.len()), (Some(1), Some(1), 1));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries, in the service's order.
    pub items: Vec<T>,
    /// The number of this page, from 1.
    pub number: Option<u32>,
    /// How many pages there are.
    pub pages: Option<u32>,
    /// How many entries all pages have together.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    pub(crate) fn new(items: Vec<T>, fields: Fields<'_>) -> Self {
        Self {
            items,
            number: fields.int("currentPageNo"),
            pages: fields.int("totalPageNo"),
            total: fields.int("totalCount"),
        }
    }
}

/// The position in a list.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// The page to ask for next; `None` after the last.
    next: Option<u32>,
    size: u16,
    seen: u64,
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Self { next: Some(1), size: PAGE_SIZE, seen: 0 }
    }

    pub(crate) fn with_size(size: u16) -> Result<Self> {
        check(1, size)?;
        Ok(Self { size, ..Self::new() })
    }

    /// Number and size of the page to ask for, unless there is none.
    pub(crate) fn next(&self) -> Option<(u32, u16)> {
        self.next.map(|number| (number, self.size))
    }

    /// Advances behind `page`, and returns whether it has entries.
    pub(crate) fn advance<T>(&mut self, page: &Page<T>) -> Result<bool> {
        let Some(number) = self.next else { return Ok(false) };
        if let Some(answered) = page.number
            && answered != number
            && !page.items.is_empty()
        {
            return Err(contract(format!(
                "its answer is page {answered} of a list, page {number} was asked for"
            )));
        }
        self.seen += page.items.len() as u64;
        let more = match (page.pages, page.total) {
            _ if page.items.is_empty() => false,
            (Some(pages), _) => number < pages,
            (None, Some(total)) => self.seen < total,
            // Only an empty page says that it was the last.
            (None, None) => true,
        };
        if more && number >= MAX_PAGES {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the list has more than {MAX_PAGES} pages"),
            ));
        }
        self.next = more.then_some(number + 1);
        Ok(!page.items.is_empty())
    }
}

/// Refuses a page that the service does not have.
pub(crate) fn check(number: u32, size: u16) -> Result<()> {
    if number == 0 || !(1..=MAX_PAGE_SIZE).contains(&size) {
        let message = format!("pages count from 1 and have 1 to {MAX_PAGE_SIZE} entries");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}
