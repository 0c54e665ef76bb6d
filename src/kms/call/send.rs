//! One call: fresh tokens, attempts, and once more after a token was refused.
//!
//! Promises: a refused token is refreshed once; all of it ends by the call's deadline; it runs on
//! the crate's own runtime, so it goes on whether or not the caller polls, and a caller that goes
//! away stops it and gives back whatever it held. This module knows nothing of what a call means.

use crate::error::{ErrorKind, Result};
use crate::kms::auth::{Auth, secret_header};
use crate::kms::call::attempts::{late, not_entered};
use crate::kms::call::client::Client;
use crate::kms::call::gate::NotEntered;
use crate::kms::call::observe;
use crate::kms::call::request::{Call, Pass, Plan};
use crate::runtime;
use std::future::{Future, ready};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

impl Client {
    /// The body of the answer to `call`, which is a success.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // In an outage this is the answer to nearly all calls, and not worth another thread.
        if let Some(left) = self.0.gate.refuses(&call.tag) {
            let refused = not_entered(self, call, NotEntered::Breaker(left));
            return self.counted(call, ready(Err(refused))).await;
        }
        let (client, call) = (self.clone(), call.to_owned());
        runtime::run(async move { client.counted(&call, client.carry_out(&call)).await }).await
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
        let attempts = self.send_with_refresh(call, plan);
        match call.options.token {
            None => self.with_fresh_tokens(&call.tag, plan.deadline, attempts).await,
            // A token that is the caller's business.
            Some(_) => attempts.await,
        }
    }

    async fn send_with_refresh(&self, call: &Call<'_>, plan: Plan) -> Result<Zeroizing<Vec<u8>>> {
        let (refused, error) = match self.attempts(call, plan, || self.pass(call)).await {
            Err((Pass::Access(generation, _), error)) if error.kind() == ErrorKind::Credentials => {
                (generation, error)
            }
            other => return other.map_err(|(_, error)| error),
        };
        // The service's code for an expired token is not documented, so every refusal of the
        // credentials may be one.
        if !self.can_refresh() {
            return Err(error);
        }
        match timeout_at(plan.deadline, self.refresh(&call.tag, refused)).await {
            Ok(renewed) => renewed?,
            Err(_) => return Err(late(self, call)),
        }
        self.attempts(call, plan, || self.pass(call)).await.map_err(|(_, error)| error)
    }

    fn pass(&self, call: &Call<'_>) -> Result<Pass> {
        if let Some(token) = &call.options.token {
            return Ok(Pass::Given(secret_header(token)?));
        }
        match &self.0.auth {
            Auth::Account(_) => Ok(Pass::Account),
            Auth::Token(tokens) => {
                let access = tokens.current();
                Ok(Pass::Access(access.generation(), access.header()?))
            }
        }
    }
}
