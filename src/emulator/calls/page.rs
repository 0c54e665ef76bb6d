//! Query parameters, and pages of lists.

use crate::emulator::answer::Refusal;
use crate::emulator::text;

/// The longest page and the default.
const MAX_SIZE: i64 = 200;
const SIZE: i64 = 100;

/// The parameters of a request's target.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value of this name. Unknown names are ignored.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A non-negative integer.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = |value| {
            text::number(value).ok_or(Refusal::request("a query parameter is not a number"))
        };
        self.get(name).map(number).transpose()
    }
}

/// One page of a list.
pub(crate) struct Page<'a, T> {
    pub(crate) items: &'a [T],
    pub(crate) number: i64,
    pub(crate) size: i64,
    pub(crate) pages: i64,
    pub(crate) count: usize,
}

impl<'a, T> Page<'a, T> {
    /// The page that `query` names. A page after the last is empty.
    pub(crate) fn of(all: &'a [T], query: &Query) -> Result<Self, Refusal> {
        let number = query.number("pageNo")?.unwrap_or(1);
        let size = query.number("pageSize")?.unwrap_or(SIZE);
        if number < 1 || !(1..=MAX_SIZE).contains(&size) {
            return Err(Refusal::request("page number or page size is out of range"));
        }
        let start =
            usize::try_from((number - 1).saturating_mul(size)).unwrap_or(usize::MAX).min(all.len());
        let items =
            &all[start..all.len().min(start.saturating_add(usize::try_from(size).unwrap_or(0)))];
        let pages = i64::try_from(all.len()).unwrap_or(i64::MAX).saturating_add(size - 1) / size;
        Ok(Self { items, number, size, pages, count: all.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_list_once() {
        let all: Vec<_> = (0..7).collect();
        let page = |query: &str| {
            Page::of(&all, &Query::parse(query)).map(|page| (page.items.to_vec(), page.pages))
        };
        assert_eq!(page("").unwrap(), (all.clone(), 1));
        assert_eq!(page("pageNo=2&pageSize=3").unwrap(), (vec![3, 4, 5], 3));
        assert_eq!(page("pageSize=3&pageNo=3").unwrap(), (vec![6], 3));
        assert_eq!(page("pageNo=9223372036854775807&pageSize=200").unwrap(), (vec![], 1));
        for bad in ["pageNo=0", "pageSize=0", "pageSize=201", "pageNo=x", "pageNo=-1", "pageNo="] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("keyword=a%20b+c&&x&keyword=d");
        assert_eq!(
            (query.get("keyword"), query.get("x"), query.get("y")),
            (Some("a b c"), Some(""), None)
        );
    }
}
