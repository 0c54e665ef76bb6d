//! Refreshing tokens: before they expire, and when the service refused them.
//!
//! Promises: a refresh is single flight, across all processes that share a store; calls continue
//! with a token that is still valid meanwhile; the store is read before the service is asked and
//! before a refresh fails; issued tokens are stored before they are used. This module knows nothing
//! of what the calls are.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::schedule::Due;
use crate::kms::auth::secret::bad;
use crate::kms::auth::token::{Ask, Held, Issued, Spare, Successor, Tokens};
use crate::kms::auth::token_set::MAX_TOKEN_HOURS;
use crate::kms::call::client::Client;
use crate::kms::call::observe;
use crate::kms::call::request::{Call, CallOptions, Pass, Plan};
use crate::kms::call::retry::Repeat;
use crate::kms::wire::{request, response};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

/// How long a call that has its response waits for the refresh that it runs.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why new tokens are needed.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    Due,
    Refused,
}

impl Client {
    /// Makes `call`, an attempt to make a call with key `tag`, with the best tokens available.
    pub(crate) async fn with_fresh_tokens<T>(
        &self,
        tokens: &Tokens,
        tag: &str,
        deadline: Instant,
        call: impl Future<Output = T>,
    ) -> T {
        match tokens.due(self.has_other_tokens()) {
            None => call.await,
            Some((Due::Now, old)) => {
                let renewal = tokens.renew(old, |held| self.successor(tokens, tag, held, Why::Due));
                // If that fails, the old token is tried all the same: this machine's clock may be
                // wrong.
                let _ = timeout_at(deadline, Box::pin(renewal)).await;
                call.await
            }
            Some((Due::Soon, old)) => {
                let find = |held| self.successor(tokens, tag, held, Why::Due);
                let ahead = Box::pin(tokens.renew_if_idle(old, find));
                self.beside(tokens, ahead, call).await
            }
        }
    }

    /// Replaces the access token if it is not newer than `old`, which was refused.
    pub(crate) async fn refresh(&self, tokens: &Tokens, tag: &str, old: u64) -> Result<()> {
        tokens.renew(old, |held| self.successor(tokens, tag, held, Why::Refused)).await
    }

    /// Whether a token that was refused can be replaced.
    pub(crate) fn can_refresh(&self, tokens: &Tokens) -> bool {
        self.has_other_tokens() || tokens.current().can_refresh()
    }

    /// Whether there may be tokens that do not come from a refresh token.
    fn has_other_tokens(&self) -> bool {
        self.0.token_store.is_some() || self.issues_tokens()
    }

    /// Whether the account may issue tokens.
    fn issues_tokens(&self) -> bool {
        self.0.issue_tokens && self.has_account()
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

    /// The replacement of `held`: a better set of the store, or one that the service issues.
    async fn successor(
        &self,
        tokens: &Tokens,
        tag: &str,
        held: Arc<Held>,
        why: Why,
    ) -> Result<Successor> {
        let _others_wait = self.lock_store().await;
        // Those whose refresh tokens are tried, the best first.
        let mut line = vec![Arc::clone(&held)];
        if let Some(stored) = self.stored_besides(&held).await {
            let better = match why {
                Why::Due => stored.pair().outlives(held.pair()),
                Why::Refused => !held.pair().outlives(stored.pair()),
            };
            if better && !stored.has_ended() {
                return Ok(self.found(stored));
            }
            line.insert(usize::from(!better), stored);
        }
        let in_line = |spare: &Spare| line.iter().any(|other| other.pair().is(spare.held.pair()));
        let spare = tokens.spare().filter(|spare| !in_line(spare));
        line.extend(spare.iter().map(|spare| Arc::clone(&spare.held)));
        let refused = match self.issue_for(tag, &line).await {
            Err(error) if error.kind() == ErrorKind::Credentials => error,
            done => return done,
        };
        if why == Why::Refused {
            // Others may be stored meanwhile, and old ones may still be valid.
            let stored = self.stored_besides(&held).await.filter(|stored| !stored.has_ended());
            if let Some(stored) = stored {
                return Ok(self.found(stored));
            }
            if let Some(Spare { held: spare, untried: true }) = spare
                && !spare.has_ended()
            {
                return Ok(Successor::Found(spare));
            }
        }
        if self.issues_tokens() { self.issue_by_account(tag, &line).await } else { Err(refused) }
    }

    /// Issues a set with the account in place of those in `line`, and stores it.
    async fn issue_by_account(&self, tag: &str, line: &[Arc<Held>]) -> Result<Successor> {
        let Some(held) = line.first() else { return Err(no_refresh_token()) };
        self.0.counters.refreshes.add();
        observe::account_issues();
        let options = CallOptions { repeat: Repeat::Unseen, ..CallOptions::default() };
        let issued = self.request_set(tag, &held.ask(), options, None).await;
        let issued = issued.map_err(|error| {
            self.0.counters.failed_refreshes.add();
            observe::refresh_failed(error.kind());
            let message = format!("tokens were refused, and the account issued no others: {error}");
            Error::with_source(error.kind(), message, error)
        })?;
        self.0.counters.issued_sets.add();
        if let Some(set) = held.followed_by(&issued) {
            self.keep(set, line).await;
        }
        Ok(Successor::Issued(issued, Arc::clone(held)))
    }

    fn found(&self, stored: Arc<Held>) -> Successor {
        self.0.counters.found_tokens.add();
        observe::found_tokens();
        Successor::Found(stored)
    }

    async fn stored_besides(&self, held: &Held) -> Option<Arc<Held>> {
        self.stored(held).await.filter(|stored| !stored.pair().is(held.pair()))
    }

    /// Asks for new tokens with the refresh tokens in `line`, until one is not refused, and stores
    /// them.
    async fn issue_for(&self, tag: &str, line: &[Arc<Held>]) -> Result<Successor> {
        let mut refused = None;
        for (index, held) in line.iter().enumerate() {
            let Some(refresh) = held.refresh_header() else { continue };
            match self.request_tokens(tag, held.ask(), &refresh?).await {
                Ok(issued) => {
                    if let Some(set) = held.followed_by(&issued) {
                        self.keep(set, &line[..=index]).await;
                    }
                    return Ok(Successor::Issued(issued, Arc::clone(held)));
                }
                Err(error) if error.kind() == ErrorKind::Credentials => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(no_refresh_token))
    }

    async fn request_tokens(&self, tag: &str, ask: Ask, refresh: &HeaderValue) -> Result<Issued> {
        self.0.counters.refreshes.add();
        observe::refresh_begins(ask.whole_set);
        let result = self.request_issue(tag, &ask, refresh).await;
        if let Err(error) = &result {
            self.0.counters.failed_refreshes.add();
            observe::refresh_failed(error.kind());
        }
        result
    }

    async fn request_issue(&self, tag: &str, ask: &Ask, refresh: &HeaderValue) -> Result<Issued> {
        if ask.whole_set {
            let options = CallOptions {
                method: Method::PUT,
                repeat: Repeat::Unseen,
                ..CallOptions::default()
            };
            match self.request_set(tag, ask, options, Some(refresh)).await {
                // A service that does not renew sets may still issue an access token; one that does
                // not answer will not.
                Err(error)
                    if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled) => {}
                other => return other,
            }
        }
        let body = hours_body(&[("accessTokenHours", ask.access_hours)]);
        let options = CallOptions { repeat: Repeat::Unseen, ..CallOptions::default() };
        let call = Call {
            operation: "access token refresh",
            tag: tag.into(),
            action: "access-token".into(),
            body,
            options,
        };
        let answer = self.request_with(&call, Some(refresh)).await?;
        let access = response::access_token(answer).map_err(|error| call.failed(&error))?;
        Issued { access, refresh: None }.checked()
    }

    async fn request_set(
        &self,
        tag: &str,
        ask: &Ask,
        options: CallOptions,
        refresh: Option<&HeaderValue>,
    ) -> Result<Issued> {
        let body = hours_body(&[
            ("accessTokenHours", ask.access_hours),
            ("refreshTokenHours", ask.refresh_hours),
        ]);
        let call = Call {
            operation: "new token set",
            tag: tag.into(),
            action: "token-set".into(),
            body,
            options,
        };
        let answer = self.request_with(&call, refresh).await?;
        let (access, refresh) = response::token_set(answer).map_err(|error| call.failed(&error))?;
        Issued { access, refresh: Some(refresh) }.checked()
    }

    /// Sends the request with a refresh token, or else signed for the account. It is not retried
    /// once the service may have seen it: each request issues tokens.
    async fn request_with(
        &self,
        call: &Call<'_>,
        refresh: Option<&HeaderValue>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        // The result is shared, so it has a deadline of its own, and not that of the call that
        // happens to come first.
        let plan = Plan { deadline: Instant::now() + self.0.call_timeout, urgent: true };
        let Some(refresh) = refresh else { return self.signed(call, plan).await };
        let pass = || Ok(Pass::Refresh(refresh.clone()));
        self.attempts(call, plan, pass).await.map_err(|(_, error)| refresh_error(error))
    }
}

fn no_refresh_token() -> Error {
    bad("the access token was refused, and there is no refresh token to get a new one with: issue \
         a new set with `tokens create` (KeyTokens::create_set)")
}

/// New tokens get the lifetimes of the old ones; where these are unknown, the service chooses.
fn hours_body(hours: &[(&str, Option<u64>)]) -> bytes::Bytes {
    let known = hours.iter().filter_map(|(name, hours)| Some(((*name).to_owned(), (*hours)?)));
    let body: Map<String, Value> =
        known.map(|(name, hours)| (name, hours.min(MAX_TOKEN_HOURS.into()).into())).collect();
    request::json(&body.into())
}

/// A refused refresh means that the tokens of the client are useless, whatever the service called
/// it.
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
