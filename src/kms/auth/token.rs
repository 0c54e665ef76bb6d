//! Token authentication: the current tokens, when they are due to be replaced, and one shared
//! refresh when they are.
//!
//! Promises: a refresh is single flight, however many calls were refused at once; whoever waited
//! for it shares its result, a failure included; a caller that gives up waiting never blocks the
//! others, and one that gives up refreshing leaves it to the next. This module decides when a
//! refresh is due and keeps the result; how the request is sent is the caller's business.

use crate::error::{Error, Result};
use crate::kms::auth::schedule::Schedule;
use crate::kms::auth::secret::{bad, checked, secret_header};
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use crate::kms::auth::schedule::Due;

/// The header that carries a token, without a scheme before it.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-ncp-ocapi-token");

/// How long nobody tries again to replace a token that is still good, after that failed.
const POSTPONED: Duration = Duration::from_secs(30);

/// The tokens of one client.
pub(crate) struct Tokens {
    current: RwLock<Arc<Held>>,
    /// Held while a refresh is under way; holds why the last one failed.
    turn: Mutex<Option<Error>>,
    /// Refreshes that ended, well or not. Changed while `turn` is held only.
    ended: AtomicU64,
    /// Until then no refresh is due that nobody asked for.
    postponed: Lock<Option<Instant>>,
}

/// An access token with the refresh token that goes with it, and how many came before it.
pub(crate) struct Held {
    generation: u64,
    access: SecretString,
    refresh: Option<SecretString>,
    schedule: Schedule,
}

/// What to ask the service for.
pub(crate) struct Ask {
    /// The refresh token as a header.
    pub(crate) refresh: HeaderValue,
    /// Whether the refresh token nears its end, so that it has to be replaced as well.
    pub(crate) whole_set: bool,
    /// The hours that the tokens held now were issued for, where they say so.
    pub(crate) access_hours: Option<u64>,
    pub(crate) refresh_hours: Option<u64>,
}

/// What the service issued.
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    /// There if the refresh token was replaced.
    pub(crate) refresh: Option<SecretString>,
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
    /// Which of the client's access tokens this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The access token as a header.
    pub(crate) fn header(&self) -> Result<HeaderValue> {
        secret_header(&self.access)
    }

    /// A copy of the access token.
    pub(crate) fn token(&self) -> SecretString {
        self.access.clone()
    }

    /// A copy of the refresh token.
    pub(crate) fn refresh_token(&self) -> Option<SecretString> {
        self.refresh.clone()
    }
}

impl Tokens {
    pub(crate) fn new(access: SecretString, refresh: Option<SecretString>) -> Self {
        let schedule = Schedule::of_given(&access, refresh.as_ref());
        let current = RwLock::new(Arc::new(Held { generation: 0, access, refresh, schedule }));
        Self {
            current,
            turn: Mutex::new(None),
            ended: AtomicU64::new(0),
            postponed: Lock::new(None),
        }
    }

    /// The tokens to use now.
    pub(crate) fn current(&self) -> Arc<Held> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is a refresh token.
    pub(crate) fn can_refresh(&self) -> bool {
        self.current().refresh.is_some()
    }

    /// Whether a refresh is due before the service refuses the access token, and which generation
    /// is to be replaced.
    pub(crate) fn due(&self) -> Option<(Due, u64)> {
        let (held, now) = (self.current(), Instant::now());
        held.refresh.as_ref()?;
        let due = held.schedule.due(now)?;
        let postponed = *self.postponed.lock().unwrap_or_else(PoisonError::into_inner);
        (postponed.is_none_or(|until| now >= until)).then_some((due, held.generation))
    }

    /// Nobody replaces a token ahead of its end for a while.
    pub(crate) fn postpone(&self) {
        *self.postponed.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + POSTPONED);
    }

    /// As [`renew`](Self::renew), unless another caller is at it.
    pub(crate) async fn renew_if_idle<F, Answer>(&self, old: u64, ask: F) -> Result<()>
    where
        F: FnOnce(Ask) -> Answer,
        Answer: Future<Output = Result<Issued>>,
    {
        match self.turn.try_lock() {
            Ok(mut failure) => self.take_turn(&mut failure, old, ask).await,
            Err(_) => Ok(()),
        }
    }

    /// Sees to it that the access token is newer than `old`, asking for one with `ask` unless
    /// another caller did already.
    ///
    /// Without a refresh token the error is of kind `Credentials`.
    pub(crate) async fn renew<F, Answer>(&self, old: u64, ask: F) -> Result<()>
    where
        F: FnOnce(Ask) -> Answer,
        Answer: Future<Output = Result<Issued>>,
    {
        let ended = self.ended.load(Ordering::Acquire);
        let mut failure = self.turn.lock().await;
        // A refresh that failed while this caller waited for its turn would fail for it too.
        if self.ended.load(Ordering::Acquire) != ended
            && let Some(error) = &*failure
            && self.current().generation == old
        {
            return Err(error.clone());
        }
        self.take_turn(&mut failure, old, ask).await
    }

    async fn take_turn<F, Answer>(
        &self,
        failure: &mut Option<Error>,
        old: u64,
        ask: F,
    ) -> Result<()>
    where
        F: FnOnce(Ask) -> Answer,
        Answer: Future<Output = Result<Issued>>,
    {
        let held = self.current();
        if held.generation != old {
            return Ok(());
        }
        let Some(refresh) = &held.refresh else {
            return Err(bad(
                "the access token was refused, and there is no refresh token to get a new one with",
            ));
        };
        let (access_hours, refresh_hours) = held.schedule.hours();
        let whole_set = held.schedule.refresh_is_due(Instant::now());
        let result =
            ask(Ask { refresh: secret_header(refresh)?, whole_set, access_hours, refresh_hours })
                .await;
        *failure = result.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::Release);
        match result {
            Ok(issued) => {
                self.replace(&held, issued);
                Ok(())
            }
            Err(error) => {
                self.postpone();
                Err(error)
            }
        }
    }

    fn replace(&self, old: &Held, issued: Issued) {
        let schedule = old.schedule.after(&issued.access, issued.refresh.as_ref());
        let refresh = issued.refresh.or_else(|| old.refresh.clone());
        let next = Arc::new(Held {
            generation: old.generation + 1,
            access: issued.access,
            refresh,
            schedule,
        });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        *self.postponed.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
    use std::sync::atomic::AtomicUsize;

    fn issued(access: &str) -> Result<Issued> {
        Issued { access: access.into(), refresh: None }.checked()
    }

    fn shown(tokens: &Tokens) -> String {
        tokens.current().token().expose_secret().to_owned()
    }

    async fn renew_together(
        tokens: &Arc<Tokens>,
        answer: fn() -> Result<Issued>,
    ) -> (usize, Vec<Result<()>>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (tokens, asked) = (Arc::clone(tokens), Arc::clone(&asked));
                tokio::spawn(async move {
                    tokens
                        .renew(0, |ask| async move {
                            assert_eq!(ask.refresh, "refresh");
                            asked.fetch_add(1, Ordering::Relaxed);
                            for _ in 0..50 {
                                tokio::task::yield_now().await;
                            }
                            answer()
                        })
                        .await
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
        let tokens = Arc::new(Tokens::new("old".into(), Some("refresh".into())));
        let (asked, results) = renew_together(&tokens, || issued("new")).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(Result::is_ok));
        assert_eq!((shown(&tokens).as_str(), tokens.current().generation()), ("new", 1));
    }

    #[tokio::test]
    async fn callers_share_one_failure_and_later_ones_try_again() {
        let tokens = Arc::new(Tokens::new("old".into(), Some("refresh".into())));
        let (asked, results) = renew_together(&tokens, || Err(bad("refused"))).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(|result| {
            result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Credentials)
        }));
        tokens.renew(0, |_| async { issued("new") }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_turn_to_the_next() {
        let tokens = Tokens::new("old".into(), Some("refresh".into()));
        let waiting = tokens.renew(0, |_| std::future::pending::<Result<Issued>>());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), waiting).await.is_err());
        tokens.renew(0, |_| async { issued("new") }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn what_is_issued_is_checked_and_nothing_is_asked_without_a_refresh_token() {
        let tokens = Tokens::new("old".into(), Some("refresh".into()));
        assert!(tokens.renew(0, |_| async { issued("with\nbreak") }).await.is_err());
        assert_eq!(shown(&tokens), "old");
        let tokens = Tokens::new("old".into(), None);
        let error = tokens.renew(0, |_| async { panic!("asked") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_refresh_that_another_caller_makes_ahead_of_time() {
        let tokens = Tokens::new("old".into(), Some("refresh".into()));
        let mut leader = Box::pin(tokens.renew_if_idle(0, |_| async {
            tokio::task::yield_now().await;
            issued("new")
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
        let both =
            || async { Issued { access: "newer".into(), refresh: Some("other".into()) }.checked() };
        tokens.renew(1, |_| both()).await.unwrap();
        tokens.renew(2, |ask| async move { issued(ask.refresh.to_str().unwrap()) }).await.unwrap();
        assert_eq!(shown(&tokens), "other");
    }
}
