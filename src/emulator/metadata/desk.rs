//! What the metadata service gives out, and to whom.

use crate::emulator::answer::Refusal;
use crate::emulator::auth::account::{Account, Accounts};
use crate::emulator::metadata::settings::{Metadata, Versions};
use crate::emulator::random;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The most tokens of version 2 that are remembered; of more, the oldest are forgotten. They are
/// given to everyone who asks.
const MAX_TOKENS: usize = 1_000;
/// The longest lifetime of such a token in seconds: six hours.
pub(crate) const MAX_TTL: i64 = 21_600;

/// The metadata service of one emulator.
pub(crate) struct Desk {
    versions: Versions,
    /// Milliseconds.
    lifetime: i64,
    /// Keys that end in less than so many milliseconds are replaced; none are given twice without.
    renewed: Option<i64>,
    roles: Vec<(String, Arc<Account>)>,
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    /// With the millisecond of their end.
    tokens: VecDeque<(Zeroizing<String>, i64)>,
    /// By role.
    keys: HashMap<String, Keys>,
}

/// Temporary keys of a role.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: Zeroizing<String>,
    /// Milliseconds since the Unix epoch, as are all times; whole seconds, as it is told in those.
    pub(crate) issued: i64,
    pub(crate) ends: i64,
}

impl Desk {
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
            given: Mutex::default(),
        }
    }

    /// Whether there are tokens to be had.
    pub(crate) fn has_tokens(&self) -> bool {
        self.versions != Versions::One
    }

    /// A token of version 2 that is good for so many seconds.
    pub(crate) fn token(&self, ttl: i64, now: i64) -> Result<Zeroizing<String>, Refusal> {
        let token = random::text(56)?;
        let mut given = self.given();
        given.tokens.retain(|(_, ends)| now < *ends);
        if given.tokens.len() == MAX_TOKENS {
            given.tokens.pop_front();
        }
        let ends = now.saturating_add(ttl.saturating_mul(1000));
        given.tokens.push_back((token.clone(), ends));
        Ok(token)
    }

    /// Whether a request with this token, or without one, is answered.
    pub(crate) fn admits(&self, token: Option<&str>, now: i64) -> bool {
        match (self.versions, token) {
            (Versions::One, _) | (Versions::Both, None) => true,
            (Versions::Two, None) => false,
            (Versions::Both | Versions::Two, Some(token)) => {
                self.given().tokens.iter().any(|(known, ends)| **known == *token && now < *ends)
            }
        }
    }

    /// The names of the roles.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|(name, _)| name.as_str())
    }

    /// Keys of a role that `accounts` accepts until their end; none if there is no such role.
    pub(crate) fn keys(
        &self,
        role: &str,
        accounts: &Accounts,
        now: i64,
    ) -> Option<Result<Keys, Refusal>> {
        let (_, account) = self.roles.iter().find(|(name, _)| name == role)?;
        let mut given = self.given();
        let again = given.keys.get(role).filter(|keys| {
            self.renewed.is_some_and(|left| keys.ends.saturating_sub(now) >= left.max(1))
        });
        if let Some(keys) = again {
            return Some(Ok(keys.clone()));
        }
        Some(self.issue(now).inspect(|keys| {
            accounts.accept_until(keys.ends, account, &keys.access_key, &keys.secret_key);
            given.keys.insert(role.to_owned(), keys.clone());
        }))
    }

    pub(crate) fn reset(&self) {
        *self.given() = Given::default();
    }

    fn issue(&self, now: i64) -> Result<Keys, Refusal> {
        let issued = now.saturating_sub(now.rem_euclid(1000));
        Ok(Keys {
            access_key: random::text(20)?.to_string(),
            secret_key: random::text(40)?,
            issued,
            ends: issued.saturating_add(self.lifetime),
        })
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
