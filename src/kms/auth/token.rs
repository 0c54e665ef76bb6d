//! Token authentication: the tokens that a client holds, and their shared renewal.
//!
//! Promises: a renewal is single flight, however many calls were refused at once; waiters share its
//! result, a failure included; a waiter that is cancelled never blocks the others, and a caller
//! that is cancelled leaves the renewal to the next. This module says when new tokens are due and
//! holds them; where they come from is up to the caller.

use crate::error::Result;
use crate::kms::auth::credentials::TokenPair;
use crate::kms::auth::schedule::{Due, Schedule};
use crate::kms::auth::secret::{checked, secret_header};
use crate::kms::auth::single_flight::SingleFlight;
use crate::kms::auth::token_set::{Pair, TokenSet};
use crate::process::PerProcess;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::time::Instant;

/// The header that carries a token, without a scheme before it.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-ncp-ocapi-token");

/// The tokens of one client.
pub(crate) struct Tokens {
    current: PerProcess<RwLock<Arc<Held>>>,
    /// Tokens that were passed over for the current ones, in case these are refused.
    spare: PerProcess<RwLock<Option<Spare>>>,
    renewal: SingleFlight,
}

/// Tokens to try if the current ones are refused.
#[derive(Clone)]
pub(crate) struct Spare {
    pub(crate) held: Arc<Held>,
    /// Whether no call was made with them.
    pub(crate) untried: bool,
}

/// An access token with the refresh token that goes with it, and how many came before it.
pub(crate) struct Held {
    generation: u64,
    access: SecretString,
    refresh: Option<SecretString>,
    schedule: Schedule,
    /// Whether the service issued them to this client.
    issued: bool,
}

/// What to ask the service for.
pub(crate) struct Ask {
    /// Whether the refresh token is about to expire, so that it must be replaced as well.
    pub(crate) whole_set: bool,
    /// The hours that the current tokens were issued for, where they say so.
    pub(crate) access_hours: Option<u64>,
    pub(crate) refresh_hours: Option<u64>,
}

/// What the service issued.
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    /// There if the refresh token was replaced.
    pub(crate) refresh: Option<SecretString>,
}

/// What takes the place of tokens.
pub(crate) enum Successor {
    /// Issued now, for those that are held or those that the store has.
    Issued(Issued, Arc<Held>),
    /// Found in the store.
    Found(Arc<Held>),
}

impl Issued {
    /// The same, if it can be sent in a header.
    pub(crate) fn checked(self) -> Result<Self> {
        let access = checked("the access token that the service issued", self.access)?;
        let refresh = self
            .refresh
            .map(|token| checked("the refresh token that the service issued", token))
            .transpose()?;
        Ok(Self { access, refresh })
    }
}

impl Held {
    /// Tokens that were issued to someone else, some time ago.
    fn given(generation: u64, access: SecretString, refresh: Option<SecretString>) -> Self {
        let schedule = Schedule::of_given(&access, refresh.as_ref());
        Self { generation, access, refresh, schedule, issued: false }
    }

    /// Tokens that were found in a store, if they can be sent in a header.
    pub(crate) fn found(set: TokenSet) -> Result<Self> {
        let access = checked("the stored access token", set.access_token)?;
        let refresh = checked("the stored refresh token", set.refresh_token)?;
        Ok(Self::given(0, access, Some(refresh)))
    }

    /// Which of the client's access tokens this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the service issued them to this client, which tries what it was issued once.
    pub(crate) fn is_issued(&self) -> bool {
        self.issued
    }

    /// Whether there is a refresh token.
    pub(crate) fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// The access token as a header.
    pub(crate) fn header(&self) -> Result<HeaderValue> {
        secret_header(&self.access)
    }

    /// The refresh token as a header.
    pub(crate) fn refresh_header(&self) -> Option<Result<HeaderValue>> {
        self.refresh.as_ref().map(secret_header)
    }

    /// A copy of the access token.
    pub(crate) fn token(&self) -> SecretString {
        self.access.clone()
    }

    pub(crate) fn pair(&self) -> Pair<'_> {
        Pair { access: &self.access, refresh: self.refresh.as_ref() }
    }

    /// The set that these and what was issued for them make, if there is a refresh token.
    pub(crate) fn followed_by(&self, issued: &Issued) -> Option<TokenSet> {
        let refresh = issued.refresh.as_ref().or(self.refresh.as_ref())?;
        Some(TokenSet::new(issued.access.clone(), refresh.clone()))
    }

    pub(crate) fn ask(&self) -> Ask {
        let (access_hours, refresh_hours) = self.schedule.hours();
        let whole_set = self.schedule.refresh_is_due(Instant::now());
        Ask { whole_set, access_hours, refresh_hours }
    }

    /// Whether the access token has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.schedule.due(Instant::now(), true) == Some(Due::Now)
    }

    /// Whether the access token says that it ended or is about to.
    pub(crate) fn may_have_ended(&self) -> bool {
        self.schedule.may_have_ended(Instant::now())
    }
}

impl Tokens {
    /// These tokens, with others that were passed over for them.
    pub(crate) fn new(
        access: SecretString,
        refresh: Option<SecretString>,
        passed_over: Option<TokenPair>,
    ) -> Self {
        let current = PerProcess::replaceable(Arc::new(Held::given(0, access, refresh)));
        let spare = passed_over.map(|TokenPair { access, refresh }| Spare {
            held: Arc::new(Held::given(0, access, refresh)),
            untried: true,
        });
        Self { current, spare: PerProcess::replaceable(spare), renewal: SingleFlight::default() }
    }

    pub(crate) fn spare(&self) -> Option<Spare> {
        self.spare.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tokens to use now.
    pub(crate) fn current(&self) -> Arc<Held> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether new tokens are due before the service refuses the access token, and which generation
    /// is to be replaced; `helped` if they may come from elsewhere than the refresh token.
    pub(crate) fn due(&self, helped: bool) -> Option<(Due, u64)> {
        let held = self.current();
        if held.refresh.is_none() && !helped {
            return None;
        }
        let due = held.schedule.due(Instant::now(), helped)?;
        (!self.renewal.is_postponed()).then_some((due, held.generation))
    }

    /// Puts off refreshes ahead of need for a while.
    pub(crate) fn postpone(&self) {
        self.renewal.postpone();
    }

    /// As [`renew`](Self::renew), unless a renewal is in flight.
    pub(crate) async fn renew_if_idle<F, Answer>(&self, old: u64, find: F) -> Result<()>
    where
        F: FnOnce(Arc<Held>) -> Answer,
        Answer: Future<Output = Result<Successor>>,
    {
        self.renewal.run_if_idle(|| self.is_past(old), || self.replace(find)).await
    }

    /// Replaces the access token if it is not newer than `old`, by what `find` returns for the
    /// current tokens.
    pub(crate) async fn renew<F, Answer>(&self, old: u64, find: F) -> Result<()>
    where
        F: FnOnce(Arc<Held>) -> Answer,
        Answer: Future<Output = Result<Successor>>,
    {
        self.renewal.run(|| self.is_past(old), || self.replace(find)).await
    }

    fn is_past(&self, old: u64) -> bool {
        self.current().generation != old
    }

    async fn replace<F, Answer>(&self, find: F) -> Result<()>
    where
        F: FnOnce(Arc<Held>) -> Answer,
        Answer: Future<Output = Result<Successor>>,
    {
        let held = self.current();
        let generation = held.generation + 1;
        let (next, spare) = match find(Arc::clone(&held)).await? {
            Successor::Issued(issued, of) => {
                let next = Held {
                    generation,
                    schedule: of.schedule.after(&issued.access, issued.refresh.as_ref()),
                    refresh: issued.refresh.or_else(|| of.refresh.clone()),
                    access: issued.access,
                    issued: true,
                };
                (next, None)
            }
            Successor::Found(found) => {
                let next = Held::given(generation, found.access.clone(), found.refresh.clone());
                (next, Some(Spare { held, untried: false }))
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        *self.spare.write().unwrap_or_else(PoisonError::into_inner) = spare;
        self.renewal.resume();
        Ok(())
    }

    /// Calls `hide` with everything that must not be shown.
    pub(crate) fn each_secret(&self, hide: &mut impl FnMut(&SecretString)) {
        let current = self.current();
        // The longer first, should one contain the other.
        let mut secrets: Vec<&SecretString> =
            current.refresh.iter().chain([&current.access]).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        secrets.into_iter().for_each(hide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kms::auth::secret::bad;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn issued(access: &str, of: Arc<Held>) -> Result<Successor> {
        let issued = Issued { access: access.into(), refresh: None }.checked()?;
        Ok(Successor::Issued(issued, of))
    }

    fn tokens() -> Tokens {
        Tokens::new("old".into(), Some("refresh".into()), None)
    }

    fn shown(tokens: &Tokens) -> String {
        tokens.current().token().expose_secret().to_owned()
    }

    async fn renew_together(
        tokens: &Arc<Tokens>,
        answer: fn(Arc<Held>) -> Result<Successor>,
    ) -> (usize, Vec<Result<()>>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (tokens, asked) = (Arc::clone(tokens), Arc::clone(&asked));
                tokio::spawn(async move {
                    let find = |held: Arc<Held>| async move {
                        assert_eq!(held.refresh_header().unwrap().unwrap(), "refresh");
                        asked.fetch_add(1, Ordering::Relaxed);
                        for _ in 0..50 {
                            tokio::task::yield_now().await;
                        }
                        answer(held)
                    };
                    tokens.renew(0, find).await
                })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        (asked.load(Ordering::Relaxed), results)
    }

    #[tokio::test]
    async fn callers_share_one_refresh() {
        let tokens = Arc::new(tokens());
        let (asked, results) = renew_together(&tokens, |held| issued("new", held)).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(Result::is_ok));
        assert_eq!((shown(&tokens).as_str(), tokens.current().generation()), ("new", 1));
        assert!(tokens.current().is_issued());
    }

    #[tokio::test]
    async fn callers_share_one_failure_and_later_ones_try_again() {
        let tokens = Arc::new(tokens());
        let (asked, results) = renew_together(&tokens, |_| Err(bad("refused"))).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(|result| {
            result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Credentials)
        }));
        tokens.renew(0, |held| async { issued("new", held) }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_turn_to_the_next() {
        let tokens = tokens();
        let waiting = tokens.renew(0, |_| std::future::pending::<Result<Successor>>());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), waiting).await.is_err());
        tokens.renew(0, |held| async { issued("new", held) }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn what_is_issued_or_found_is_checked() {
        let tokens = tokens();
        assert!(tokens.renew(0, |held| async { issued("with\nbreak", held) }).await.is_err());
        assert_eq!(shown(&tokens), "old");
        assert!(Held::found(TokenSet::new("a", "with\nbreak")).is_err());
        let found = Arc::new(Held::found(TokenSet::new("found", "r")).unwrap());
        tokens.renew(0, |_| async { Ok(Successor::Found(found)) }).await.unwrap();
        assert_eq!((shown(&tokens).as_str(), tokens.current().is_issued()), ("found", false));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_refresh_that_another_caller_makes_ahead_of_time() {
        let tokens = tokens();
        let mut leader = Box::pin(tokens.renew_if_idle(0, |held| async {
            tokio::task::yield_now().await;
            issued("new", held)
        }));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(
                leader.as_mut().poll(cx).is_pending()
            ))
            .await
        );
        tokens.renew_if_idle(0, |_| async { panic!("asked") }).await.unwrap();
        leader.await.unwrap();
        assert_eq!(shown(&tokens), "new");
        let both = |held| async {
            let issued = Issued { access: "newer".into(), refresh: Some("other".into()) };
            Ok(Successor::Issued(issued.checked()?, held))
        };
        tokens.renew(1, both).await.unwrap();
        let refresh = |held: Arc<Held>| async move {
            issued(held.refresh_header().unwrap()?.to_str().unwrap(), Arc::clone(&held))
        };
        tokens.renew(2, refresh).await.unwrap();
        assert_eq!(shown(&tokens), "other");
    }
}
