//! The keys of an account: those to sign with now, and when they are due for renewal.
//!
//! Promises: fetching new keys is single flight; valid keys stay in use until new ones arrive;
//! after a fetch that gave nothing new, the source is left alone for a while. This module knows
//! nothing of where keys come from.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::credentials::{AccountKeys, Credentials};
use crate::kms::auth::schedule::Due;
use crate::kms::auth::secret::bad;
use crate::kms::auth::signature::Signer;
use crate::kms::auth::single_flight::SingleFlight;
use crate::kms::auth::source::CredentialSource;
use crate::kms::endpoint::{Api, SignatureVersion};
use crate::kms::time::Timestamp;
use crate::process::PerProcess;
use crate::random::{fraction, number};
use secrecy::SecretString;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Keys are due in the last fifth of their life, and no earlier than ten minutes before they
/// expire. Half of that is jittered.
const EARLY: u32 = 5;
const EARLIEST: Duration = Duration::from_secs(600);
/// The shortest pause between two fetches of keys that are needed now.
const PAUSE: Duration = Duration::from_secs(1);

/// The account of one client.
pub(crate) struct Account {
    source: Option<Arc<dyn CredentialSource>>,
    form: Form,
    current: PerProcess<RwLock<Option<Arc<Keys>>>>,
    renewal: SingleFlight,
}

/// How calls are signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) api: Api,
    pub(crate) signature: SignatureVersion,
}

/// Keys to sign with, and how many came before them.
pub(crate) struct Keys {
    generation: u64,
    signer: Signer,
    life: Option<Life>,
    /// When the service first refused them.
    refused: OnceLock<Instant>,
}

#[derive(Clone, Copy)]
struct Life {
    due: Instant,
    end: Instant,
}

impl Account {
    /// An account with these keys, or those of the source, or these until the source has others.
    pub(crate) fn new(
        form: Form,
        keys: Option<AccountKeys>,
        source: Option<Arc<dyn CredentialSource>>,
    ) -> Result<Self> {
        let keys = keys.map(|keys| Keys::new(0, form, keys)).transpose()?.map(Arc::new);
        Ok(Self {
            source,
            form,
            current: PerProcess::replaceable(keys),
            renewal: SingleFlight::default(),
        })
    }

    /// The keys to sign with now.
    pub(crate) fn current(&self) -> Option<Arc<Keys>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs with other keys from now on.
    pub(crate) fn replace(&self, credentials: Credentials) -> Result<()> {
        self.put(credentials).map(drop)
    }

    /// Whether other keys are due, and which generation is to be replaced.
    pub(crate) fn due(&self) -> Option<(Due, Option<u64>)> {
        self.source.as_ref()?;
        let Some(keys) = self.current() else { return Some((Due::Now, None)) };
        let (life, now) = (keys.life?, Instant::now());
        let due = match () {
            () if now >= life.end => Due::Now,
            () if now >= life.due => Due::Soon,
            () => return None,
        };
        let waits = match due {
            Due::Now => self.is_paused(life.end, now),
            Due::Soon => self.renewal.is_postponed(),
        };
        (!waits).then_some((due, Some(keys.generation)))
    }

    /// Whether the source may have other keys than `refused`.
    pub(crate) fn may_have_others(&self, refused: &Keys) -> bool {
        if self.source.is_none() || self.is_past(Some(refused.generation)) {
            return self.source.is_some();
        }
        let now = Instant::now();
        let first = *refused.refused.get_or_init(|| now);
        if refused.life.is_some_and(|life| now >= life.due) {
            !self.is_paused(first, now)
        } else {
            self.renewal.in_vain().is_none_or(|at| at < first) || !self.renewal.is_postponed()
        }
    }

    /// Whether the source was asked so recently that asking again is of no use for keys that are
    /// needed `since` then. An answer from before that says nothing: some sources give the same
    /// keys until they expire.
    fn is_paused(&self, since: Instant, now: Instant) -> bool {
        self.renewal.in_vain().is_some_and(|at| at >= since && now < at + PAUSE)
    }

    /// Why the source gave no other keys when these were due, if they are.
    pub(crate) fn why_still(&self, keys: &Keys) -> Option<Error> {
        let due = keys.life.is_some_and(|life| Instant::now() >= life.due);
        if due { self.renewal.last_failure() } else { None }
    }

    /// Renews the keys if they are not newer than `old`, unless the source still has the same.
    pub(crate) async fn renew(&self, old: Option<u64>) -> Result<()> {
        self.renewal.run(|| self.is_past(old), || self.fetch()).await
    }

    /// As [`renew`](Self::renew), unless a renewal is in flight.
    pub(crate) async fn renew_if_idle(&self, old: Option<u64>) -> Result<()> {
        self.renewal.run_if_idle(|| self.is_past(old), || self.fetch()).await
    }

    /// Puts off renewals ahead of need for a while.
    pub(crate) fn postpone(&self) {
        self.renewal.postpone();
    }

    fn is_past(&self, old: Option<u64>) -> bool {
        self.current().map(|keys| keys.generation) != old
    }

    async fn fetch(&self) -> Result<()> {
        let Some(source) = &self.source else { return Ok(()) };
        let changed = self.put(source.credentials().await?)?;
        if changed {
            self.renewal.resume()
        } else {
            self.renewal.postpone()
        }
        Ok(())
    }

    /// Takes these keys, and returns whether they differ from those before.
    fn put(&self, credentials: Credentials) -> Result<bool> {
        let keys = credentials.into_account().ok_or_else(|| bad("there are no account keys"))?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.as_ref().map_or(0, |keys| keys.generation);
        let next = Keys::new(generation + 1, self.form, keys)?;
        match &*current {
            // The same keys, perhaps with a later expiry.
            Some(keys) if keys.signer.is(&next.signer) => {
                *current =
                    Some(Arc::new(Keys { generation, refused: keys.refused.clone(), ..next }));
                Ok(false)
            }
            _ => {
                *current = Some(Arc::new(next));
                Ok(true)
            }
        }
    }

    /// Calls `hide` with everything that must not be shown.
    pub(crate) fn each_secret(&self, hide: &mut impl FnMut(&SecretString)) {
        if let Some(keys) = self.current() {
            keys.signer.each_secret(hide);
        }
    }
}

impl Keys {
    fn new(generation: u64, form: Form, keys: AccountKeys) -> Result<Self> {
        let AccountKeys { access_key, secret_key, api_gateway_key, ends } = keys;
        let gateway = match (form.signature, form.api) {
            (SignatureVersion::V2, _) => None,
            (SignatureVersion::V1, Api::V2) => {
                let message = "api 2.0 has signature version v2 only: choose it, or api 1.0";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            (SignatureVersion::V1, Api::V1) => {
                let missing = || {
                    bad("signature version v1 needs an api gateway key: set NCP_APIGW_API_KEY \
                         (Credentials::with_api_gateway_key), or choose version v2")
                };
                Some(api_gateway_key.ok_or_else(missing)?)
            }
        };
        let signer = Signer::new(access_key, secret_key, gateway);
        Ok(Self { generation, signer, life: ends.and_then(Life::until), refused: OnceLock::new() })
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Which of the account's keys these are.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

impl Life {
    fn until(end: Timestamp) -> Option<Self> {
        let (now, steady) = (Timestamp::from(SystemTime::now()), Instant::now());
        let left = Duration::from_millis(end.millis().saturating_sub(now.millis()));
        let early = (left / EARLY).min(EARLIEST);
        // Servers that were started together must not fetch together.
        let early = early / 2 + fraction(early / 2, number().unwrap_or_default());
        // A time that clocks cannot represent is never reached.
        let end = steady.checked_add(left)?;
        Some(Self { due: end.checked_sub(early).unwrap_or(steady), end })
    }
}
