//! Provides the account's keys when a call needs them.
//!
//! Promises: callers that need the first keys wait for one request; keys that are about to expire
//! are renewed while calls continue with them. This module knows nothing of what the calls are.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::account::{Account, Keys};
use crate::kms::auth::schedule::Due;
use crate::kms::auth::secret::bad;
use crate::kms::call::client::Client;
use crate::kms::call::observe;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a call that has its response waits for the renewal that it runs.
const PATIENCE: Duration = Duration::from_secs(1);

impl Client {
    /// Makes `call`, which is signed for the account, with the best keys available.
    pub(crate) async fn with_account<T>(
        &self,
        deadline: Instant,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(account) = self.0.auth.account() else { return call.await };
        match account.due() {
            None => call.await,
            Some((Due::Now, None)) => {
                self.first_keys(account, deadline).await?;
                call.await
            }
            Some((Due::Now, old)) => {
                // If that fails, the old keys are tried all the same: this machine's clock may be
                // wrong.
                let _ = timeout_at(deadline, self.renew_keys(account, old)).await;
                call.await
            }
            Some((Due::Soon, old)) => {
                let (mut ahead, mut call) = (pin!(account.renew_if_idle(old)), pin!(call));
                tokio::select! {
                    // Whether that went well or not, the call does not depend on it.
                    _ = &mut ahead => call.await,
                    result = &mut call => {
                        if timeout(PATIENCE, ahead).await.is_err() {
                            account.postpone();
                        }
                        result
                    }
                }
            }
        }
    }

    /// The keys to sign with.
    pub(crate) fn account_keys(&self) -> Result<Arc<Keys>> {
        let current = self.0.auth.account().and_then(Account::current);
        current.ok_or_else(|| bad("there are no account keys to sign with"))
    }

    /// Gets other keys after the service refused `refused` with `error`, if there are any.
    pub(crate) async fn other_keys(
        &self,
        refused: &Keys,
        error: Error,
        deadline: Instant,
    ) -> Result<()> {
        let Some(account) = self.0.auth.account() else { return Err(error) };
        if !account.may_have_others(refused) {
            // The failure of the source says more than that expired keys were refused.
            return Err(account.why_still(refused).unwrap_or(error));
        }
        let generation = refused.generation();
        match timeout_at(deadline, self.renew_keys(account, Some(generation))).await {
            Ok(Ok(())) if self.account_keys()?.generation() != generation => Ok(()),
            Ok(Ok(())) | Err(_) => Err(error),
            Ok(Err(why)) => Err(why),
        }
    }

    async fn first_keys(&self, account: &Account, deadline: Instant) -> Result<()> {
        let late = |_| {
            let message = format!(
                "the credential source gave no keys within {:?}, the call timeout",
                self.0.call_timeout
            );
            Error::new(ErrorKind::Unavailable, message)
        };
        timeout_at(deadline, self.renew_keys(account, None)).await.map_err(late)?
    }

    async fn renew_keys(&self, account: &Account, old: Option<u64>) -> Result<()> {
        let renewed = account.renew(old).await;
        if let Err(error) = &renewed {
            observe::no_keys(error.kind());
        }
        renewed
    }
}
