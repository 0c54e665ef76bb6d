//! The tokens and keys that the metadata service issues.

use crate::emulator::answer::Refusal;
use crate::emulator::auth::account::{Account, Accounts};
use crate::emulator::metadata::settings::{Metadata, Versions};
use crate::emulator::random;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The most tokens of version 2; beyond that, the oldest are dropped. Anyone can get a token, so
/// their number must be bounded.
const MAX_TOKENS: usize = 1_000;
/// The longest lifetime of such a token in seconds: six hours.
pub(crate) const MAX_TTL: i64 = 21_600;

/// The metadata service of one emulator.
pub(crate) struct Issuer {
    versions: Versions,
    /// Milliseconds.
    lifetime: i64,
    /// Keys with fewer milliseconds left are replaced; `None` replaces them every time.
    renewed: Option<i64>,
    roles: Vec<(String, Arc<Account>)>,
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    /// With the time at which they expire.
    tokens: VecDeque<(Zeroizing<String>, i64)>,
    /// By role.
    keys: HashMap<String, Keys>,
}

/// Temporary keys of a role.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: Zeroizing<String>,
    /// Milliseconds since the Unix epoch, as all times; a whole second, since answers have seconds.
    pub(crate) issued: i64,
    pub(crate) expires: i64,
}

impl Issuer {
    /// Adds the roles to `accounts`.
    pub(crate) fn new(settings: &Metadata, accounts: &mut Accounts) -> Self {
        let roles = settings.roles.iter().map(|(name, rights)| {
            let account = accounts.add_role(name, rights.clone());
            (name.clone(), account)
        });
        let roles = roles.collect();
        let seconds = i64::try_from(settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let renewed = settings.renewed;
        Self {
            versions: settings.versions,
            lifetime: seconds.saturating_mul(1000),
            renewed: renewed.map(|left| i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
            roles,
            issued: Mutex::default(),
        }
    }

    /// Whether tokens are issued.
    pub(crate) fn has_tokens(&self) -> bool {
        self.versions != Versions::One
    }

    /// A token of version 2 with a time to live of `ttl` seconds.
    pub(crate) fn token(&self, ttl: i64, now: i64) -> Result<Zeroizing<String>, Refusal> {
        let token = random::text(56)?;
        let mut issued = self.issued();
        issued.tokens.retain(|(_, expires)| now < *expires);
        if issued.tokens.len() == MAX_TOKENS {
            issued.tokens.pop_front();
        }
        let expires = now.saturating_add(ttl.saturating_mul(1000));
        issued.tokens.push_back((token.clone(), expires));
        Ok(token)
    }

    /// Whether a request with this token, or without one, is accepted.
    pub(crate) fn accepts(&self, token: Option<&str>, now: i64) -> bool {
        match (self.versions, token) {
            (Versions::One, _) | (Versions::Both, None) => true,
            (Versions::Two, None) => false,
            (Versions::Both | Versions::Two, Some(token)) => {
                let issued = self.issued();
                issued.tokens.iter().any(|(known, expires)| **known == *token && now < *expires)
            }
        }
    }

    /// The names of the roles.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|(name, _)| name.as_str())
    }

    /// Keys of a role, which `accounts` accepts until they expire; none if there is no such role.
    pub(crate) fn keys(
        &self,
        role: &str,
        accounts: &Accounts,
        now: i64,
    ) -> Option<Result<Keys, Refusal>> {
        let (_, account) = self.roles.iter().find(|(name, _)| name == role)?;
        let mut issued = self.issued();
        let current = issued.keys.get(role).filter(|keys| {
            self.renewed.is_some_and(|left| keys.expires.saturating_sub(now) >= left.max(1))
        });
        if let Some(keys) = current {
            return Some(Ok(keys.clone()));
        }
        Some(self.issue(now).inspect(|keys| {
            accounts.accept_until(keys.expires, account, &keys.access_key, &keys.secret_key);
            issued.keys.insert(role.to_owned(), keys.clone());
        }))
    }

    pub(crate) fn reset(&self) {
        *self.issued() = Issued::default();
    }

    fn issue(&self, now: i64) -> Result<Keys, Refusal> {
        let issued = now.saturating_sub(now.rem_euclid(1000));
        Ok(Keys {
            access_key: random::text(20)?.to_string(),
            secret_key: random::text(40)?,
            issued,
            expires: issued.saturating_add(self.lifetime),
        })
    }

    fn issued(&self) -> MutexGuard<'_, Issued> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
