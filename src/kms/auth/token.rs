//! Token authentication: the current access token, and one shared refresh when it is refused.
//!
//! Promises: at most one refresh is under way for a client, however many calls were refused at once; whoever waited for it shares
//! its result, a failure included; a caller that gives up waiting never blocks the others. This module decides when a refresh is
//! due and keeps the result; how the request is sent is the caller's business.

use super::{bad, checked, secret_header};
use crate::error::{Error, Result};
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

/// The header that carries a token, without a scheme before it.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-ncp-ocapi-token");

/// The tokens of one client.
pub(crate) struct Tokens {
    current: RwLock<Arc<Access>>,
    refresh: Option<SecretString>,
    /// Held while a refresh is under way; holds why the last one failed.
    turn: Mutex<Option<Error>>,
    /// Refreshes that ended, well or not. Changed while `turn` is held only.
    ended: AtomicU64,
}

/// An access token and how many came before it.
pub(crate) struct Access {
    generation: u64,
    token: SecretString,
}

impl Access {
    /// Which of the client's access tokens this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The token as a header.
    pub(crate) fn header(&self) -> Result<HeaderValue> {
        secret_header(&self.token)
    }

    /// A copy of the token.
    pub(crate) fn token(&self) -> SecretString {
        self.token.clone()
    }
}

impl Tokens {
    pub(crate) fn new(access: SecretString, refresh: Option<SecretString>) -> Self {
        let current = RwLock::new(Arc::new(Access { generation: 0, token: access }));
        Self { current, refresh, turn: Mutex::new(None), ended: AtomicU64::new(0) }
    }

    /// The access token to use now.
    pub(crate) fn current(&self) -> Arc<Access> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is a refresh token.
    pub(crate) fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// Sees to it that the access token is newer than `refused`, asking for one with `ask` unless another caller did already.
    ///
    /// `ask` is given the refresh token as a header. Without a refresh token the error is of kind `Credentials`.
    pub(crate) async fn renew<F, Answer>(&self, refused: u64, ask: F) -> Result<()>
    where
        F: FnOnce(HeaderValue) -> Answer,
        Answer: Future<Output = Result<SecretString>>,
    {
        let Some(refresh) = &self.refresh else {
            return Err(bad("the access token was refused, and there is no refresh token to get a new one with"));
        };
        let ended = self.ended.load(Ordering::Acquire);
        let mut failure = self.turn.lock().await;
        if self.current().generation() != refused {
            return Ok(());
        }
        // A refresh that failed while this caller waited for its turn would fail for it too.
        if self.ended.load(Ordering::Acquire) != ended
            && let Some(error) = &*failure
        {
            return Err(error.clone());
        }
        let result = match ask(secret_header(refresh)?).await {
            Ok(token) => checked("the access token that the service issued", token).map(|token| self.replace(refused, token)),
            Err(error) => Err(error),
        };
        *failure = result.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::Release);
        result
    }

    fn replace(&self, refused: u64, token: SecretString) {
        let next = Arc::new(Access { generation: refused + 1, token });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Calls `hide` with everything that must not be shown.
    pub(super) fn each_secret(&self, hide: &mut impl FnMut(&SecretString)) {
        let current = self.current();
        // The longer first, should one contain the other.
        let mut secrets: Vec<&SecretString> = self.refresh.iter().chain([&current.token]).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        secrets.into_iter().for_each(hide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::sync::atomic::AtomicUsize;

    fn shown(tokens: &Tokens) -> String {
        tokens.current().token().expose_secret().to_owned()
    }

    async fn renew_together(tokens: &Arc<Tokens>, answer: fn() -> Result<SecretString>) -> (usize, Vec<Result<()>>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (tokens, asked) = (Arc::clone(tokens), Arc::clone(&asked));
                tokio::spawn(async move {
                    tokens
                        .renew(0, |header| async move {
                            assert_eq!(header, "refresh");
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
        let (asked, results) = renew_together(&tokens, || Ok("new".into())).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(Result::is_ok));
        assert_eq!((shown(&tokens).as_str(), tokens.current().generation()), ("new", 1));
    }

    #[tokio::test]
    async fn callers_share_one_failure_and_later_ones_try_again() {
        let tokens = Arc::new(Tokens::new("old".into(), Some("refresh".into())));
        let (asked, results) = renew_together(&tokens, || Err(bad("refused"))).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Credentials)));
        tokens.renew(0, |_| async { Ok("new".into()) }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_turn_to_the_next() {
        let tokens = Tokens::new("old".into(), Some("refresh".into()));
        let waiting = tokens.renew(0, |_| std::future::pending());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), waiting).await.is_err());
        tokens.renew(0, |_| async { Ok("new".into()) }).await.unwrap();
        assert_eq!(shown(&tokens), "new");
    }

    #[tokio::test]
    async fn what_is_issued_is_checked_and_nothing_is_asked_without_a_refresh_token() {
        let tokens = Tokens::new("old".into(), Some("refresh".into()));
        assert!(tokens.renew(0, |_| async { Ok("with\nbreak".into()) }).await.is_err());
        assert_eq!(shown(&tokens), "old");
        let tokens = Tokens::new("old".into(), None);
        let error = tokens.renew(0, |_| async { panic!("asked") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
    }
}
