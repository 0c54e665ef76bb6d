//! A client's settings in configuration files.
//!
//! Promises: what cannot be right is refused as it is by the builder; no credential is read from a
//! configuration file or written into one.

use crate::config::time::Time;
use crate::kms::auth::file_store::FileTokenStore;
use crate::kms::builder::ClientBuilder;
use crate::kms::call::client::Client;
use crate::kms::call::proxy::Proxy;
use crate::kms::call::rate::RateLimit;
use crate::kms::endpoint::{Api, Endpoint, SignatureVersion};
use crate::kms::token::issue::TokenHours;
use secrecy::ExposeSecret;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // A URL that would be refused may hold a password.
        if let Self::Custom(url) = self {
            url.parse::<Self>().map_err(ser::Error::custom)?;
        }
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Api {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Api {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrNumber {
            what: "\"1.0\" or \"2.0\"",
            text: |text| text.parse::<Self>().map_err(shown),
            number: |number| number.to_string().parse().map_err(shown),
        })
    }
}

impl Serialize for SignatureVersion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignatureVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Service => to.serialize_str("service"),
            Self::Off => to.serialize_str("off"),
            Self::PerSecond(calls) => to.serialize_u32(*calls),
        }
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const WHAT: &str = "\"service\", \"off\", or calls in a second";
        from.deserialize_any(TextOrNumber {
            what: WHAT,
            text: |text| match text {
                "service" => Ok(Self::Service),
                "off" => Ok(Self::Off),
                _ => Err(format!("a rate limit is {WHAT}, not {text:?}")),
            },
            number: |number| {
                let limit = RateLimit::PerSecond(u32::try_from(number).unwrap_or(u32::MAX));
                limit.check().map(|()| limit).map_err(shown)
            },
        })
    }
}

/// A proxy's URL with a user name in it is a credential.
fn no_password(proxy: &Proxy) -> Result<(), String> {
    match proxy {
        Proxy::Url(url) if url.expose_secret().contains('@') => {
            Err("a proxy's user name and password do not belong into a configuration file: set \
                 NCP_KMS_PROXY instead"
                .to_owned())
        }
        _ => proxy.for_tls().map(drop).map_err(shown),
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => to.serialize_str("none"),
            Self::System => to.serialize_str("system"),
            Self::Url(url) => {
                no_password(self).map_err(ser::Error::custom)?;
                to.serialize_str(url.expose_secret())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Ok(proxy) = Cow::<'de, str>::deserialize(from)?.parse::<Self>();
        // Of the system's nothing is known before there is a client.
        if matches!(proxy, Self::Url(_)) {
            no_password(&proxy).map_err(D::Error::custom)?;
        }
        Ok(proxy)
    }
}

impl Serialize for TokenHours {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hours(hours) => to.serialize_u16(*hours),
            Self::Unlimited => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for TokenHours {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrNumber {
            what: "a number of hours, or \"UL\"",
            text: |text| text.parse::<Self>().map_err(shown),
            number: |number| {
                let hours = Self::Hours(u16::try_from(number).unwrap_or(0));
                hours.check().map(|()| hours).map_err(shown)
            },
        })
    }
}

fn shown(error: crate::error::Error) -> String {
    error.to_string()
}

/// Reads what is written as text or as a number.
struct TextOrNumber<T> {
    what: &'static str,
    text: fn(&str) -> Result<T, String>,
    number: fn(u64) -> Result<T, String>,
}

impl<T> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        // Less than nothing is out of each range, as nothing is.
        self.visit_u64(u64::try_from(number).unwrap_or(0))
    }
}

/// What a builder is read from. What is missing is as the builder has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    endpoint: Option<Endpoint>,
    api: Option<Api>,
    signature: Option<SignatureVersion>,
    connect_timeout: Option<Time>,
    attempt_timeout: Option<Time>,
    call_timeout: Option<Time>,
    max_attempts: Option<u32>,
    rate_limit: Option<RateLimit>,
    queue_limit: Option<usize>,
    circuit_breaker: Option<bool>,
    issue_tokens: Option<bool>,
    re_encrypt_action: Option<String>,
    proxy: Option<Proxy>,
    #[serde(default)]
    root_certificate_files: Vec<PathBuf>,
    #[serde(default)]
    root_certificates_only: bool,
    token_store: Option<PathBuf>,
}

/// A map of the builder's settings by the names of its methods: `endpoint`, `api`, `signature`,
/// the three timeouts, `max_attempts`, `rate_limit`, `queue_limit`, `circuit_breaker`,
/// `issue_tokens`, `re_encrypt_action`, `proxy`, `root_certificate_files` (a list of paths),
/// `root_certificates_only` and `token_store` (a path).
impl<'de> Deserialize<'de> for ClientBuilder {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(from)?;
        let mut builder = Client::builder();
        macro_rules! set {
            ($($name:ident),+) => {
                $(if let Some(value) = form.$name {
                    builder = builder.$name(value);
                })+
            };
        }
        set!(endpoint, api, signature, max_attempts, rate_limit, queue_limit, circuit_breaker);
        set!(issue_tokens, re_encrypt_action, proxy);
        if let Some(Time(timeout)) = form.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(Time(timeout)) = form.attempt_timeout {
            builder = builder.attempt_timeout(timeout);
        }
        if let Some(Time(timeout)) = form.call_timeout {
            builder = builder.call_timeout(timeout);
        }
        if let Some(path) = form.token_store {
            builder = builder.token_store(FileTokenStore::new(path));
        }
        for path in form.root_certificate_files {
            builder = builder.root_certificate_file(path);
        }
        if form.root_certificates_only {
            builder = builder.root_certificates_only();
        }
        builder.settings().map_err(D::Error::custom)?;
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::{Credentials, TokenLifetimes};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn refused<T: DeserializeOwned>(value: Value) -> String {
        read::<T>(value).err().unwrap()
    }

    #[test]
    fn settings_are_written_as_they_are_read() {
        for (value, endpoint) in [
            ("global", Endpoint::Global),
            ("http://127.0.0.1:1", Endpoint::Custom("http://127.0.0.1:1".to_owned())),
        ] {
            assert_eq!(read::<Endpoint>(json!(value)).unwrap(), endpoint);
            assert_eq!(serde_json::to_value(&endpoint).unwrap(), json!(value));
        }
        for value in [json!("1.0"), json!("1"), json!(1), json!(1_i64)] {
            assert_eq!(read::<Api>(value).unwrap(), Api::V1);
        }
        assert_eq!(serde_json::to_value(Api::V2).unwrap(), json!("2.0"));
        assert_eq!(read::<SignatureVersion>(json!("v1")).unwrap(), SignatureVersion::V1);
        for (value, limit) in [
            (json!("service"), RateLimit::Service),
            (json!("off"), RateLimit::Off),
            (json!(50), RateLimit::PerSecond(50)),
        ] {
            assert_eq!(read::<RateLimit>(value.clone()).unwrap(), limit);
            assert_eq!(serde_json::to_value(limit).unwrap(), value);
        }
        let lifetimes = TokenLifetimes { access: Some(TokenHours::Hours(72)), refresh: None };
        assert_eq!(read::<TokenLifetimes>(json!({ "access": 72 })).unwrap(), lifetimes);
        let written = json!({ "access": "UL", "refresh": null });
        let unlimited = read::<TokenLifetimes>(written.clone()).unwrap();
        assert_eq!(unlimited.access, Some(TokenHours::Unlimited));
        assert_eq!(serde_json::to_value(unlimited).unwrap(), written);
    }

    #[test]
    fn what_cannot_be_right_is_refused_in_the_words_of_the_constructors() {
        let words = |error: crate::error::Error| error.to_string();
        let zero = "0".parse::<TokenHours>().map_err(words).unwrap_err();
        assert_eq!(refused::<TokenHours>(json!(0)), zero);
        assert_eq!(refused::<TokenHours>(json!(-1)), zero);
        assert_eq!(refused::<TokenHours>(json!(70_000)), zero);
        let fin = "fin/".parse::<Endpoint>().map_err(words).unwrap_err();
        assert_eq!(refused::<Endpoint>(json!("fin/")), fin);
        assert_eq!(refused::<Api>(json!(3)), "3".parse::<Api>().map_err(words).unwrap_err());
        let account = || Client::builder().credentials(Credentials::account("a", "s").unwrap());
        let built = |builder: ClientBuilder| builder.build().map(drop).map_err(words).unwrap_err();
        for (value, builder) in [
            (json!({ "endpoint": "fin" }), account().endpoint(Endpoint::Fin)),
            (json!({ "max_attempts": 0 }), account().max_attempts(0)),
            (json!({ "call_timeout": "2h" }), account().call_timeout(std::time::Duration::MAX)),
            (json!({ "rate_limit": 0 }), account().rate_limit(RateLimit::PerSecond(0))),
            (json!({ "re_encrypt_action": "a/b" }), account().re_encrypt_action("a/b")),
        ] {
            assert_eq!(refused::<ClientBuilder>(value), built(builder));
        }
        for (value, says) in [
            (json!({ "access_key": "canary" }), "unknown field `access_key`"),
            (json!({ "proxy": "http://canary:canary@proxy" }), "set NCP_KMS_PROXY instead"),
            (json!({ "proxy": "socks5://proxy" }), "another scheme than http and https"),
            (json!({ "rate_limit": "fast" }), "\"service\", \"off\", or calls in a second"),
            (json!({ "endpoint": "https://canary:canary@kms.example" }), "given separately"),
        ] {
            let error = refused::<ClientBuilder>(value);
            assert!(error.contains(says) && !error.contains("canary:"), "{error}");
        }
        let custom = Endpoint::Custom("https://canary@x".to_owned());
        for error in [
            serde_json::to_string(&custom).unwrap_err(),
            serde_json::to_string(&Proxy::Url("http://canary@proxy".into())).unwrap_err(),
        ] {
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_builder_is_read_with_what_it_is_not_told_left_as_it_was() {
        let settings = json!({
            "endpoint": "http://127.0.0.1:1", "api": 1, "signature": "v2",
            "connect_timeout": "500ms", "attempt_timeout": 2, "call_timeout": "5s",
            "max_attempts": 2, "rate_limit": "off", "queue_limit": 7, "circuit_breaker": false,
            "issue_tokens": false, "re_encrypt_action": "re-encrypt", "proxy": "none",
        });
        let told = Client::builder()
            .endpoint(Endpoint::Custom("http://127.0.0.1:1".to_owned()))
            .api(Api::V1)
            .connect_timeout(std::time::Duration::from_millis(500))
            .attempt_timeout(std::time::Duration::from_secs(2))
            .call_timeout(std::time::Duration::from_secs(5))
            .max_attempts(2)
            .rate_limit(RateLimit::Off)
            .queue_limit(7)
            .circuit_breaker(false)
            .issue_tokens(false)
            .re_encrypt_action("re-encrypt");
        let read_one: ClientBuilder = read(settings).unwrap();
        assert_eq!(format!("{read_one:?}"), format!("{told:?}"));
        let nothing: ClientBuilder = read(json!({})).unwrap();
        assert_eq!(format!("{nothing:?}"), format!("{:?}", Client::builder()));
        let files = json!({
            "root_certificate_files": ["a.pem", "b.pem"], "root_certificates_only": true,
            "token_store": "tokens.json",
        });
        let told = Client::builder()
            .root_certificate_file("a.pem")
            .root_certificate_file("b.pem")
            .root_certificates_only()
            .token_store(FileTokenStore::new("tokens.json"));
        let files: ClientBuilder = read(files).unwrap();
        assert_eq!(format!("{files:?}"), format!("{told:?}"));
    }
}
