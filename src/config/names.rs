//! Names of keys, layouts of messages and encryption contexts.

use crate::context::EncryptionContext;
use crate::error::Result as Checked;
use crate::format::{Layout, Profile};
use crate::wrap::{KeyId, Provider, ZoneHint};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Has `$type` read and written by its `$names`.
macro_rules! named {
    ($type:ty, $what:literal, $($name:literal => $value:path),+ $(,)?) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(match self { $($value => $name,)+ })
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(from)?;
                <$type as Named>::of(&text).map_err(D::Error::custom)
            }
        }

        impl Named for $type {
            fn of(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok($value),)+
                    _ => Err(format!(
                        "{text:?} is not {}: {}", $what, [$($name),+].join(", ")
                    )),
                }
            }
        }
    };
}

trait Named: Sized {
    /// The one of this name.
    fn of(text: &str) -> Result<Self, String>;
}

named!(ZoneHint, "the zone of a key",
    "none" => ZoneHint::None, "global" => ZoneHint::Global, "kr" => ZoneHint::Kr,
    "jp" => ZoneHint::Jp, "gov" => ZoneHint::Gov, "fin" => ZoneHint::Fin);
named!(Profile, "the profile of a layout",
    "compact" => Profile::Compact, "durable" => Profile::Durable, "page" => Profile::Page);

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let wrong = || {
            let message = "is not the provider of a key: ncp-kms, local, or other-128 to other-254";
            D::Error::custom(format!("{text:?} {message}"))
        };
        match &*text {
            "ncp-kms" => Ok(Self::NcpKms),
            "local" => Ok(Self::Local),
            text => {
                let code = text.strip_prefix("other-").ok_or_else(wrong)?;
                let provider = Self::Other(code.parse().map_err(|_| wrong())?);
                // A code that belongs to another provider is refused where a key id is made.
                KeyId::new(provider, ZoneHint::None, "x").map_err(D::Error::custom)?;
                Ok(provider)
            }
        }
    }
}

/// A key id with more than the tag of a key of NCP KMS.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyIdForm<'a> {
    #[serde(default = "ncp_kms")]
    provider: Provider,
    #[serde(default, skip_serializing_if = "is_none")]
    zone: ZoneHint,
    id: Cow<'a, str>,
}

fn ncp_kms() -> Provider {
    Provider::NcpKms
}

fn is_none(zone: &ZoneHint) -> bool {
    *zone == ZoneHint::None
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let id = self.id().into();
        KeyIdForm { provider: self.provider(), zone: self.zone(), id }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        fn tag(text: &str) -> Checked<KeyId> {
            KeyId::new(Provider::NcpKms, ZoneHint::None, text)
        }
        fn whole(form: KeyIdForm<'_>) -> Checked<KeyId> {
            KeyId::new(form.provider, form.zone, form.id)
        }
        from.deserialize_any(TextOrMap {
            what: "a key tag, or a map of provider, zone and id",
            text: tag,
            map: whole,
            form: PhantomData,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutForm {
    profile: Profile,
    #[serde(default)]
    detached: bool,
}

impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.is_detached() {
            false => self.profile().serialize(to),
            true => LayoutForm { profile: self.profile(), detached: true }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        fn profile(text: &str) -> Result<Layout, String> {
            Profile::of(text).map(Layout::from)
        }
        fn whole(form: LayoutForm) -> Result<Layout, String> {
            Ok(Layout::from(form.profile).detached(form.detached))
        }
        from.deserialize_any(TextOrMap {
            what: "a profile, or a map of profile and detached",
            text: profile,
            map: whole,
            form: PhantomData,
        })
    }
}

/// Reads what is written as text or, if there is more to say, as a map.
struct TextOrMap<Text, Map, Form> {
    what: &'static str,
    text: Text,
    map: Map,
    form: PhantomData<fn(Form)>,
}

impl<'de, T, E, Text, Map, Form> Visitor<'de> for TextOrMap<Text, Map, Form>
where
    E: fmt::Display,
    Text: Fn(&str) -> Result<T, E>,
    Map: Fn(Form) -> Result<T, E>,
    Form: Deserialize<'de>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<F: Error>(self, text: &str) -> Result<T, F> {
        (self.text)(text).map_err(F::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        let form = Form::deserialize(MapAccessDeserializer::new(fields))?;
        (self.map)(form).map_err(A::Error::custom)
    }
}

impl Serialize for EncryptionContext {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for EncryptionContext {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = EncryptionContext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names and values, both text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<EncryptionContext, A::Error> {
        let mut context = EncryptionContext::new();
        while let Some((name, value)) = pairs.next_entry::<String, String>()? {
            // A map would keep the last of two values under one name.
            context.insert(name, value).map_err(A::Error::custom)?;
        }
        Ok(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// Written, and read again.
    fn written<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) -> Value {
        let written = serde_json::to_value(value).unwrap();
        assert_eq!(&read::<T>(written.clone()).unwrap(), value);
        written
    }

    #[test]
    fn keys_are_named_by_a_tag_or_a_map() {
        let key = |provider, zone| KeyId::new(provider, zone, "tag").unwrap();
        let ours = key(Provider::NcpKms, ZoneHint::None);
        assert_eq!(read::<KeyId>(json!("tag")).unwrap(), ours);
        assert_eq!(read::<KeyId>(json!({ "id": "tag" })).unwrap(), ours);
        assert_eq!(written(&ours), json!({ "provider": "ncp-kms", "id": "tag" }));
        let whole = json!({ "provider": "other-200", "zone": "kr", "id": "tag" });
        let other = key(Provider::Other(200), ZoneHint::Kr);
        assert_eq!(written(&other), whole);
        assert_eq!(read::<KeyId>(whole).unwrap().zone(), ZoneHint::Kr);
        let longest = "x".repeat(256);
        for (value, says) in [
            (json!(longest), KeyId::new(Provider::Local, ZoneHint::None, "").unwrap_err()),
            (
                json!({ "id": "x", "provider": "other-7" }),
                KeyId::new(Provider::Other(7), ZoneHint::None, "x").unwrap_err(),
            ),
        ] {
            assert_eq!(read::<KeyId>(value).unwrap_err(), says.to_string());
        }
        for (value, says) in [
            (json!({ "id": "x", "zone": "mars" }), "\"mars\" is not the zone of a key: none, glob"),
            (json!({ "id": "x", "provider": "aws" }), "ncp-kms, local, or other-128"),
            (json!({ "id": "x", "tag": "x" }), "unknown field `tag`"),
            (json!({}), "missing field `id`"),
            (json!(7), "a key tag, or a map of provider, zone and id"),
        ] {
            let error = read::<KeyId>(value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn layouts_are_a_profile_or_a_map() {
        assert_eq!(written(&Layout::from(Profile::Page)), json!("page"));
        let detached = Layout::from(Profile::Durable).detached(true);
        assert_eq!(written(&detached), json!({ "profile": "durable", "detached": true }));
        for (value, says) in [
            (json!("packed"), "\"packed\" is not the profile of a layout: compact, durable, page"),
            (json!({ "profile": "page", "x": 1 }), "unknown field `x`"),
            (json!({ "detached": true }), "missing field `profile`"),
        ] {
            let error = read::<Layout>(value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_context_is_a_map_whose_names_are_given_once() {
        let context =
            EncryptionContext::new().with("year", "2026").unwrap().with("a", "b").unwrap();
        assert_eq!(written(&context), json!({ "a": "b", "year": "2026" }));
        let twice = serde_json::from_str::<EncryptionContext>(r#"{"a":"1","a":"2"}"#);
        assert!(twice.unwrap_err().to_string().contains("given twice"));
        assert!(read::<EncryptionContext>(json!({ "": "1" })).unwrap_err().contains("empty"));
        assert!(read::<EncryptionContext>(json!({ "a": 1 })).is_err());
    }
}
