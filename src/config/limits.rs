//! Limits of the cache, of the pool and of reuse.

use crate::config::time::Time;
use crate::datakey::{CacheLimits, PoolLimits, ReuseLimits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Has `$limits` read and written as `$form`.
macro_rules! as_form {
    ($limits:ty, $form:ty) => {
        impl Serialize for $limits {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                <$form>::from(self).serialize(to)
            }
        }

        impl<'de> Deserialize<'de> for $limits {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <$form>::deserialize(from).map(Self::from)
            }
        }
    };
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cache {
    ttl: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_after: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_window: Option<Time>,
    max_keys: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    max_age: Time,
    max_keys: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reuse {
    max_age: Time,
    max_messages: Option<u64>,
    max_bytes: Option<u64>,
}

as_form!(CacheLimits, Cache);
as_form!(PoolLimits, Pool);
as_form!(ReuseLimits, Reuse);

impl From<&CacheLimits> for Cache {
    fn from(limits: &CacheLimits) -> Self {
        Self {
            ttl: Time(limits.ttl),
            idle: limits.idle.map(Time),
            refresh_after: limits.refresh_after.map(Time),
            stale_window: (!limits.stale.is_zero()).then_some(Time(limits.stale)),
            max_keys: Some(limits.max_keys),
        }
    }
}

impl From<Cache> for CacheLimits {
    fn from(form: Cache) -> Self {
        let mut limits = Self::new(form.ttl.0);
        if let Some(Time(idle)) = form.idle {
            limits = limits.with_idle(idle);
        }
        if let Some(Time(age)) = form.refresh_after {
            limits = limits.with_refresh_after(age);
        }
        if let Some(Time(window)) = form.stale_window {
            limits = limits.with_stale_window(window);
        }
        match form.max_keys {
            Some(keys) => limits.with_max_keys(keys),
            None => limits,
        }
    }
}

impl From<&PoolLimits> for Pool {
    fn from(limits: &PoolLimits) -> Self {
        Self { max_age: Time(limits.max_age), max_keys: Some(limits.max_keys) }
    }
}

impl From<Pool> for PoolLimits {
    fn from(form: Pool) -> Self {
        let limits = Self::new(form.max_age.0);
        match form.max_keys {
            Some(keys) => limits.with_max_keys(keys),
            None => limits,
        }
    }
}

impl From<&ReuseLimits> for Reuse {
    fn from(limits: &ReuseLimits) -> Self {
        Self {
            max_age: Time(limits.max_age),
            max_messages: Some(limits.max_messages),
            max_bytes: Some(limits.max_bytes),
        }
    }
}

impl From<Reuse> for ReuseLimits {
    fn from(form: Reuse) -> Self {
        let mut limits = Self::new(form.max_age.0);
        if let Some(messages) = form.max_messages {
            limits = limits.with_max_messages(messages);
        }
        match form.max_bytes {
            Some(bytes) => limits.with_max_bytes(bytes),
            None => limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn limits_are_read_from_text_and_from_seconds() {
        let text = r#"{"ttl":"10m","idle":"2m","refresh_after":300,"stale_window":"1h 30m"}"#;
        let cache: CacheLimits = serde_json::from_str(text).unwrap();
        assert_eq!((cache.ttl, cache.idle), (10 * MINUTE, Some(2 * MINUTE)));
        assert_eq!((cache.refresh_after, cache.stale), (Some(5 * MINUTE), 90 * MINUTE));
        assert_eq!(cache.max_keys, CacheLimits::new(MINUTE).max_keys);
        // TOML's numbers are signed.
        let pool: PoolLimits =
            serde_json::from_value(json!({ "max_age": 60_i64, "max_keys": 10_i64 })).unwrap();
        assert_eq!((pool.max_age, pool.max_keys), (MINUTE, 10));
        let reuse: ReuseLimits =
            serde_json::from_value(json!({ "max_age": "1m", "max_bytes": 1 << 30 })).unwrap();
        assert_eq!((reuse.max_age, reuse.max_bytes), (MINUTE, 1 << 30));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let cache = CacheLimits::new(10 * MINUTE)
            .with_idle(Duration::from_millis(1_500))
            .with_refresh_after(5 * MINUTE)
            .with_stale_window(MINUTE)
            .with_max_keys(7);
        let written = serde_json::to_value(&cache).unwrap();
        assert_eq!(
            written,
            json!({ "ttl": "10m", "idle": "1s 500ms", "refresh_after": "5m",
                "stale_window": "1m", "max_keys": 7 })
        );
        let read: CacheLimits = serde_json::from_value(written).unwrap();
        assert_eq!(format!("{read:?}"), format!("{cache:?}"));
        let pool = PoolLimits::new(MINUTE).with_max_keys(3);
        let read: PoolLimits =
            serde_json::from_value(serde_json::to_value(&pool).unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{pool:?}"));
        let reuse = ReuseLimits::new(MINUTE).with_max_messages(3).with_max_bytes(4);
        let read: ReuseLimits =
            serde_json::from_value(serde_json::to_value(&reuse).unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{reuse:?}"));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (value, says) in [
            (json!({}), "missing field `ttl`"),
            (json!({ "ttl": "5m", "tlt": 1 }), "unknown field `tlt`"),
            (json!({ "ttl": "5 parsecs" }), "not a duration such as 5m"),
            (json!({ "ttl": -1 }), "not negative"),
            (json!({ "ttl": 1.5 }), "a duration such as"),
            (json!({ "ttl": "5m", "max_keys": -1 }), "invalid value"),
        ] {
            let error = serde_json::from_value::<CacheLimits>(value).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(serde_json::from_value::<PoolLimits>(json!({ "max_age": 1, "ttl": 1 })).is_err());
        assert!(serde_json::from_value::<ReuseLimits>(json!({ "max_age": 1, "ttl": 1 })).is_err());
    }
}
