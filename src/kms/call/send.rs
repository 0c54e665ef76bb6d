//! One call: fresh tokens or keys, attempts, and once more after these were refused.
//!
//! Promises: a call is tried once with tokens that were issued for it; it ends by its deadline; it
//! runs on the crate's runtime, so it keeps running whether or not the caller polls; a caller that
//! is dropped cancels it and releases what it held. This module knows nothing of what a call means.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::token::Tokens;
use crate::kms::auth::{Auth, secret_header};
use crate::kms::call::attempts::{late, not_entered};
use crate::kms::call::client::Client;
use crate::kms::call::gate::NotEntered;
use crate::kms::call::observe;
use crate::kms::call::request::{Call, CallOptions, Pass, Plan};
use crate::runtime;
use std::future::{Future, ready};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// How often one call's refused token is replaced: by what is found in a store, which may be
/// refused as well, and by what is issued.
const MAX_RENEWALS: u32 = 3;

impl Client {
    /// The body of a successful response to `call`.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // In an outage nearly all calls end here, and need no other thread.
        if let Some(left) = self.0.gate.refuses(&call.tag) {
            let refused = not_entered(self, call, NotEntered::Breaker(left));
            return self.counted(call, ready(Err(refused))).await;
        }
        let (client, call) = (self.clone(), call.to_owned());
        runtime::run(async move { client.counted(&call, Box::pin(client.carry_out(&call))).await })
            .await
    }

    async fn counted<T>(
        &self,
        call: &Call<'_>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.0.counters.calls.add();
        let result = observe::call(call, work).await;
        if result.is_err() {
            self.0.counters.failed_calls.add();
        }
        result
    }

    async fn carry_out(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let plan = Plan { deadline: Instant::now() + self.0.call_timeout, urgent: false };
        match (&call.options, &self.0.auth) {
            // A token of the caller.
            (CallOptions { token: Some(token), .. }, _) => {
                let pass = || secret_header(token).map(Pass::Given);
                self.attempts(call, plan, pass).await.map_err(|(_, error)| error)
            }
            (CallOptions { account: false, .. }, Auth::Token(tokens, _)) => {
                let attempts = self.with_tokens(tokens, call, plan);
                self.with_fresh_tokens(tokens, &call.tag, plan.deadline, attempts).await
            }
            _ => self.signed(call, plan).await,
        }
    }

    /// The body of the response to a call that is signed for the account.
    pub(crate) async fn signed(&self, call: &Call<'_>, plan: Plan) -> Result<Zeroizing<Vec<u8>>> {
        let attempts =
            async || self.attempts(call, plan, || self.account_keys().map(Pass::Account)).await;
        let twice = async {
            match attempts().await {
                Err((Pass::Account(keys), error)) if error.kind() == ErrorKind::Credentials => {
                    self.other_keys(&keys, error, plan.deadline).await?;
                    attempts().await
                }
                other => other,
            }
            .map_err(|(_, error)| error)
        };
        self.with_account(plan.deadline, twice).await
    }

    /// The body of the response to a call that is made with the client's tokens.
    async fn with_tokens(
        &self,
        tokens: &Tokens,
        call: &Call<'_>,
        plan: Plan,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let pass = || {
            let access = tokens.current();
            Ok(Pass::Access(access.generation(), access.header()?))
        };
        let mut renewals = MAX_RENEWALS;
        loop {
            let (refused, error) = match self.attempts(call, plan, pass).await {
                Err((Pass::Access(generation, _), error))
                    if renewals > 0 && self.may_mean_expiry(tokens, generation, &error) =>
                {
                    (generation, error)
                }
                other => return other.map_err(|(_, error)| error),
            };
            match timeout_at(plan.deadline, self.refresh(tokens, &call.tag, refused)).await {
                Ok(Ok(())) => {}
                // A refusal of credentials needs better ones; for all else the refusal says more.
                Ok(Err(better)) if error.kind() == ErrorKind::Credentials => return Err(better),
                Ok(Err(_)) => return Err(error),
                Err(_) => return Err(late(self, call)),
            }
            // Tokens that were just issued have not expired; those that were found may have.
            renewals = if tokens.current().is_issued() { 0 } else { renewals - 1 };
        }
    }

    /// Whether a refusal may mean that the access token expired. The service's code for that is not
    /// documented: every refusal of credentials may be one, and so may any refusal when the token
    /// itself says that it expired or is about to.
    fn may_mean_expiry(&self, tokens: &Tokens, generation: u64, error: &Error) -> bool {
        self.can_refresh(tokens)
            && match error.kind() {
                ErrorKind::Credentials => true,
                ErrorKind::AccessDenied | ErrorKind::InvalidInput | ErrorKind::KeyUnusable => {
                    let held = tokens.current();
                    // Another caller may have replaced it already.
                    error.status().is_some()
                        && (held.generation() != generation || held.may_have_ended())
                }
                _ => false,
            }
    }
}
