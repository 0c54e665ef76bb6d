//! The head of a response: its code, whether it is a refusal, and whether it holds a field that
//! only this service would give.
//!
//! Promises: no value is copied or kept, since there may be a plaintext among them.

use crate::kms::wire::fields;
use crate::kms::wire::text::Loose;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The head of an answer.
#[derive(Default)]
pub(crate) struct Head<'a> {
    pub(crate) code: Option<Loose<'a>>,
    /// Whether it has one of the forms of a refusal that has no code.
    pub(crate) refused: bool,
    /// Whether one of the fields that were asked about is there and not null.
    pub(crate) named: bool,
}

impl<'a> Head<'a> {
    /// Reads the head of `body`, which is one JSON object or nothing of use.
    pub(crate) fn read(body: &'a [u8], names: &[&str]) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let head = Top(names).deserialize(&mut json).ok()?;
        json.end().ok().map(|()| head)
    }
}

struct Top<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Head<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Head<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Head<'de>, A::Error> {
        let mut head = Head::default();
        let mut coded = false;
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                // Two codes are ambiguous.
                "code" if coded => return Err(de::Error::duplicate_field("code")),
                "code" => {
                    coded = true;
                    head.code = fields.next_value()?;
                }
                "error" | "responseError" | "errorCode" => {
                    head.refused |= fields.next_value::<Option<IgnoredAny>>()?.is_some();
                }
                "data" => head.named |= fields.next_value_seed(Data(self.0))?,
                name => head.named |= named(self.0, name, &mut fields)?,
            }
        }
        Ok(head)
    }
}

/// Whether one of these names is in an object, or in an inner `data` of it.
struct Data<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("results")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = fields.next_key::<String>()? {
            found |= match name.as_str() {
                "data" => fields.next_value_seed(Data(self.0))?,
                name => named(self.0, name, &mut fields)?,
            };
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Whether the field `name`, whose value comes next, is one of `names` and there.
fn named<'de, A: MapAccess<'de>>(
    names: &[&str],
    name: &str,
    fields: &mut A,
) -> Result<bool, A::Error> {
    let there = fields.next_value::<Option<IgnoredAny>>()?.is_some();
    Ok(there && names.iter().any(|one| fields::same(one, name)))
}
