//! Getting new tokens: ahead of time, and when the service refused the old ones.
//!
//! Promises: one request at a time, whoever asks; calls go on with a token that is still good
//! meanwhile; what was issued is stored before it is used. This module knows nothing of what the
//! calls are.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::Auth;
use crate::kms::auth::token::{Ask, Due, Issued, Tokens};
use crate::kms::auth::token_set::{MAX_TOKEN_HOURS, TokenSet};
use crate::kms::call::client::Client;
use crate::kms::call::observe;
use crate::kms::call::request::{Call, CallOptions, Pass, Plan};
use crate::kms::call::retry::Repeat;
use crate::kms::wire::{request, response};
use reqwest::Method;
use serde_json::{Map, Value};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

/// How long a call that has its answer waits for the refresh that it happened to make.
const PATIENCE: Duration = Duration::from_secs(1);

impl Client {
    /// Makes `call`, an attempt to make a call with key `tag`, with tokens that are as good as can
    /// be had.
    pub(crate) async fn with_fresh_tokens<T>(
        &self,
        tag: &str,
        deadline: Instant,
        call: impl Future<Output = T>,
    ) -> T {
        let Auth::Token(tokens) = &self.0.auth else { return call.await };
        match tokens.due() {
            None => call.await,
            Some((Due::Now, old)) => {
                // If that fails the old token is tried all the same: it may be this machine's clock
                // that is wrong.
                let _ = timeout_at(deadline, Box::pin(self.refresh(tag, old))).await;
                call.await
            }
            Some((Due::Soon, old)) => {
                let ahead = Box::pin(
                    tokens.renew_if_idle(old, |ask| self.request_tokens(tag, tokens, ask)),
                );
                self.beside(tokens, ahead, call).await
            }
        }
    }

    /// Sees to it that the access token is newer than `old`.
    pub(crate) async fn refresh(&self, tag: &str, old: u64) -> Result<()> {
        match &self.0.auth {
            Auth::Token(tokens) => {
                tokens.renew(old, |ask| self.request_tokens(tag, tokens, ask)).await
            }
            Auth::Account(_) => Ok(()),
        }
    }

    /// Whether there is a refresh token.
    pub(crate) fn can_refresh(&self) -> bool {
        matches!(&self.0.auth, Auth::Token(tokens) if tokens.can_refresh())
    }

    async fn beside<T>(
        &self,
        tokens: &Tokens,
        ahead: impl Future<Output = Result<()>>,
        call: impl Future<Output = T>,
    ) -> T {
        let (mut ahead, mut call) = (pin!(ahead), pin!(call));
        tokio::select! {
            // Whether that went well or not, the call does not depend on it.
            _ = &mut ahead => call.await,
            result = &mut call => {
                if timeout(PATIENCE, ahead).await.is_err() {
                    tokens.postpone();
                }
                result
            }
        }
    }

    /// Asks for new tokens and stores them.
    async fn request_tokens(&self, tag: &str, tokens: &Tokens, ask: Ask) -> Result<Issued> {
        self.0.counters.refreshes.add();
        observe::refresh_begins(ask.whole_set);
        let issued = match self.request_issue(tag, &ask).await {
            Ok(issued) => issued,
            Err(error) => {
                self.0.counters.failed_refreshes.add();
                observe::refresh_failed(error.kind());
                return Err(error);
            }
        };
        let refresh = issued.refresh.clone().or_else(|| tokens.current().refresh_token());
        if let (Some(store), Some(refresh)) = (self.0.token_store.clone(), refresh) {
            let set = TokenSet::new(issued.access.clone(), refresh);
            let stored = tokio::task::spawn_blocking(move || store.store(&set)).await;
            if !matches!(stored, Ok(Ok(()))) {
                self.0.counters.failed_stores.add();
                observe::store_failed();
            }
        }
        Ok(issued)
    }

    async fn request_issue(&self, tag: &str, ask: &Ask) -> Result<Issued> {
        if ask.whole_set {
            match self.request_set(tag, ask).await {
                // A service that does not renew sets may still give an access token; one that does
                // not answer will not.
                Err(error)
                    if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled) => {}
                other => return other,
            }
        }
        let body = hours_body(&[("accessTokenHours", ask.access_hours)]);
        let options = CallOptions { repeat: Repeat::Dropped, ..CallOptions::default() };
        let call = Call {
            operation: "access token refresh",
            tag: tag.into(),
            action: "access-token".into(),
            body,
            options,
        };
        let answer = self.request_with(&call, ask).await?;
        let access = response::access_token(answer).map_err(|error| call.failed(&error))?;
        Issued { access, refresh: None }.checked()
    }

    async fn request_set(&self, tag: &str, ask: &Ask) -> Result<Issued> {
        let body = hours_body(&[
            ("accessTokenHours", ask.access_hours),
            ("refreshTokenHours", ask.refresh_hours),
        ]);
        let options =
            CallOptions { method: Method::PUT, repeat: Repeat::Dropped, ..CallOptions::default() };
        let call = Call {
            operation: "token set renewal",
            tag: tag.into(),
            action: "token-set".into(),
            body,
            options,
        };
        let answer = self.request_with(&call, ask).await?;
        let (access, refresh) = response::token_set(answer).map_err(|error| call.failed(&error))?;
        Issued { access, refresh: Some(refresh) }.checked()
    }

    /// Not repeated once the service has most likely seen it: each request issues tokens.
    async fn request_with(&self, call: &Call<'_>, ask: &Ask) -> Result<Zeroizing<Vec<u8>>> {
        // The result is shared, so it has its own time, not what is left of the call that happened
        // to come first.
        let plan = Plan { deadline: Instant::now() + self.0.call_timeout, urgent: true };
        let answer = self.attempts(call, plan, || Ok(Pass::Refresh(ask.refresh.clone()))).await;
        answer.map_err(|(_, error)| refresh_error(error))
    }
}

/// New tokens live as long as the old ones did; what is not known is the service's choice.
fn hours_body(hours: &[(&str, Option<u64>)]) -> bytes::Bytes {
    let known = hours.iter().filter_map(|(name, hours)| Some(((*name).to_owned(), (*hours)?)));
    let body: Map<String, Value> =
        known.map(|(name, hours)| (name, hours.min(MAX_TOKEN_HOURS.into()).into())).collect();
    request::json(&body.into())
}

/// A refresh that was refused means that the client's tokens are of no use, whatever the service
/// called it.
fn refresh_error(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Internal => error,
        _ => Error::with_source(
            ErrorKind::Credentials,
            format!("the access token was refused, and so was the refresh token: {error}"),
            error,
        ),
    }
}
