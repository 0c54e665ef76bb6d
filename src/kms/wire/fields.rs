//! Answers of the management calls, which hold nothing secret: fields found whatever their
//! spelling, place or type.
//!
//! The documentation prints the same field in several ways. What is accepted because of that:
//!
//! * names in any case, with or without underscores (`keyList`, `KeyList`; `keyVersion`,
//!   `key_version`);
//! * fields beside `data` that belong into it (the counters of lists), and an inner `data` (last
//!   use);
//! * numbers and truth values as text.
//!
//! A field that is missing or of another type is `None`, and so is every field of an answer without
//! `data`: a change that took place must not look like a failure because of how the service reports
//! it.

use crate::error::Result;
use crate::kms::time::Timestamp;
use crate::kms::wire::contract::contract;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// A body that was judged a success.
pub(crate) struct Answer(Value);

impl Answer {
    /// Parses `body`.
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        // JSON's error text may repeat what it could not read, so none of it is shown.
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|_| contract("its answer does not have the form of a result"))
    }

    /// Parses the `body` of an answer to a change, which may be empty: the change took place.
    pub(crate) fn of_change(body: &[u8]) -> Result<Self> {
        if body.is_empty() { Ok(Self(Value::Null)) } else { Self::read(body) }
    }

    /// Fields in `data` or, where they are not there, beside it.
    pub(crate) fn fields(&self) -> Fields<'_> {
        let top = self.0.as_object().unwrap_or(&NOTHING);
        let data = Fields::of(top).object("data");
        Fields { inner: data.inner, outer: Some(top) }
    }
}

/// The fields of one JSON object.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    inner: &'a Map<String, Value>,
    /// Where fields are looked for that are not in `inner`.
    outer: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The fields of `object`.
    pub(crate) fn of(object: &'a Map<String, Value>) -> Self {
        Self { inner: object, outer: None }
    }

    /// The object as JSON.
    pub(crate) fn json(self) -> String {
        Value::Object(self.inner.clone()).to_string()
    }

    /// The field `name`, unless it is null.
    pub(crate) fn value(self, name: &str) -> Option<&'a Value> {
        lookup(self.inner, name).or_else(|| lookup(self.outer?, name))
    }

    /// The object `name`, or an empty one.
    pub(crate) fn object(self, name: &str) -> Self {
        Self::of(self.value(name).and_then(Value::as_object).unwrap_or(&NOTHING))
    }

    /// The objects in the array `name`, or `None` if there is no such array. What is not an object
    /// breaks the contract.
    pub(crate) fn objects(self, name: &str) -> Option<Result<Vec<&'a Map<String, Value>>>> {
        let items = self.value(name)?.as_array()?;
        Some(
            items
                .iter()
                .map(|item| {
                    item.as_object()
                        .ok_or_else(|| contract("an entry of its list is not an object"))
                })
                .collect(),
        )
    }

    /// The text `name`; a number counts as its digits.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The texts in the array `name`; an item that is not text is given as JSON rather than left
    /// out.
    pub(crate) fn texts(self, name: &str) -> Option<Vec<String>> {
        let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        Some(self.value(name)?.as_array()?.iter().map(text).collect())
    }

    /// The time `name`, in milliseconds since the Unix epoch.
    pub(crate) fn time(self, name: &str) -> Option<Timestamp> {
        self.int(name).map(Timestamp::from_millis)
    }

    /// The word `name` of one of the service's vocabularies.
    pub(crate) fn word<T: for<'t> From<&'t str>>(self, name: &str) -> Option<T> {
        self.text(name).map(|text| text.as_str().into())
    }

    /// The whole number `name`, if it is one of this type.
    pub(crate) fn int<T: TryFrom<u64>>(self, name: &str) -> Option<T> {
        int(self.value(name)?).and_then(|number| number.try_into().ok())
    }

    /// The truth value `name`.
    pub(crate) fn truth(self, name: &str) -> Option<bool> {
        truth(self.value(name)?)
    }
}

/// A whole number that is not negative, or the text of one.
pub(crate) fn int(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}

/// A truth value, or the text of one.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn lookup<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let exact = object.get(name).filter(|value| !value.is_null());
    exact.or_else(|| {
        object
            .iter()
            .find(|(key, value)| same(key, name) && !value.is_null())
            .map(|(_, value)| value)
    })
}

/// Whether two names of fields are spellings of one.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let letters = |text: &'_ str| {
        text.bytes()
            .filter(|byte| *byte != b'_')
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    letters(a) == letters(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn fields_are_found_in_every_accepted_form() {
        for text in [
            r#"{"code":"SUCCESS","data":{"keyList":[{"a":1}],"totalCount":7,"isOn":true}}"#,
            r#"{"code":"SUCCESS","data":{"KeyList":[{"a":1}]},"total_count":"7","isOn":"True"}"#,
            r#"{"keyList":[{"a":1}],"TotalCount":" 7 ","data":{"keyList":null,"ison":"true"}}"#,
        ] {
            let answer = Answer::read(text.as_bytes()).unwrap();
            let fields = answer.fields();
            assert_eq!(fields.objects("keyList").unwrap().unwrap().len(), 1, "{text}");
            assert_eq!(
                (fields.int("totalCount"), fields.truth("isOn")),
                (Some(7_u32), Some(true)),
                "{text}"
            );
        }
    }

    #[test]
    fn fields_of_another_type_are_not_there() {
        let answer = Answer::read(
            br#"{"data":{"a":-1,"b":1.5,"c":[1,"x"],"d":{},"e":70000,"f":"yes","g":[1]}}"#,
        )
        .unwrap();
        let fields = answer.fields();
        assert!(
            fields.int::<u64>("a").is_none()
                && fields.int::<u64>("b").is_none()
                && fields.int::<u16>("e").is_none()
        );
        assert!(
            fields.truth("f").is_none()
                && fields.text("d").is_none()
                && fields.objects("d").is_none()
        );
        assert_eq!(
            (fields.texts("c"), fields.text("e")),
            (Some(vec!["1".to_owned(), "x".to_owned()]), Some("70000".to_owned()))
        );
        assert!(fields.objects("g").unwrap().is_err() && fields.object("a").value("x").is_none());
        for odd in ["null", "[]", "1", r#"{"data":1}"#, r#"{"data":null}"#, "{}"] {
            assert!(Answer::read(odd.as_bytes()).unwrap().fields().value("a").is_none());
        }
        for broken in ["", "{", "canary", &"[".repeat(100_000)] {
            let error = Answer::read(broken.as_bytes()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(!error.to_string().contains("canary"));
        }
    }
}
