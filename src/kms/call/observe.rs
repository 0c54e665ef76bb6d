//! Spans and events of a client, with the feature `tracing`; without it everything here is a no-op.
//!
//! Promises: spans and events hold only the operation, the key tag, numbers and kinds. No
//! plaintext, ciphertext, credential, token, signature or text of the service is in them.

use crate::error::{ErrorKind, Result};
use crate::kms::call::request::Call;
use std::future::Future;
use std::time::Duration;

/// Runs one call in its span.
#[cfg(feature = "tracing")]
pub(crate) async fn call<T>(call: &Call<'_>, run: impl Future<Output = Result<T>>) -> Result<T> {
    use tracing::Instrument;
    let span = tracing::debug_span!(
        target: "ncp_envelope::kms",
        "kms_call",
        operation = call.operation,
        key = &*call.tag,
        result = tracing::field::Empty
    );
    let result = run.instrument(span.clone()).await;
    match &result {
        Ok(_) => span.record("result", "ok"),
        Err(error) => span.record("result", tracing::field::debug(error.kind())),
    };
    result
}

#[cfg(not(feature = "tracing"))]
pub(crate) async fn call<T>(_: &Call<'_>, run: impl Future<Output = Result<T>>) -> Result<T> {
    run.await
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident($($field:ident: $type:ty => $value:expr),*)
        $level:ident $message:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[cfg(feature = "tracing")]
            pub(crate) fn $name($($field: $type),*) {
                tracing::event!(
                    target: "ncp_envelope::kms",
                    tracing::Level::$level,
                    $($field = $value,)*
                    $message
                );
            }

            #[cfg(not(feature = "tracing"))]
            #[inline]
            pub(crate) fn $name($(_: $type),*) {}
        )+
    };
}

events! {
    /// An attempt ended; `kind` is there if it failed, `status` if there was an answer.
    attempt_ended(attempt: u32 => attempt, status: Option<u16> => status,
        kind: Option<ErrorKind> => kind.map(tracing::field::debug))
        DEBUG "attempt ended";
    /// An attempt is repeated after a pause.
    retry(attempt: u32 => attempt,
        pause: Duration => u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
        INFO "attempt is repeated, pause in ms";
    /// An attempt is repeated at once, because the service had closed an idle connection.
    dropped_connection(attempt: u32 => attempt) DEBUG "attempt is repeated on another connection";
    /// An attempt is not repeated, because the quota is spent.
    retry_denied(attempt: u32 => attempt) WARN "no quota to repeat an attempt";
    /// The circuit breaker opened.
    breaker_opened() WARN "circuit breaker opened";
    /// The circuit breaker closed.
    breaker_closed() INFO "circuit breaker closed";
    /// The clock was put right.
    clock_corrected() WARN "clock differs from the service's and is put right for signatures";
    /// New tokens are asked for.
    refresh_begins(whole_set: bool => whole_set) INFO "tokens are refreshed";
    /// That failed.
    refresh_failed(kind: ErrorKind => tracing::field::debug(kind)) WARN "tokens were not refreshed";
    /// The credential source gave no keys.
    no_keys(kind: ErrorKind => tracing::field::debug(kind)) WARN "no new account keys";
    /// Tokens were refused, and the account is asked for others.
    account_issues() WARN "tokens were refused, the account issues new ones";
    /// The store has tokens that are better than those in use.
    found_tokens() INFO "tokens were found in the store";
    /// Somebody else holds the lock of the store for long.
    store_locked() WARN "the token store stays locked and is used without its lock";
    /// The store did not take the new tokens.
    store_failed() ERROR "new tokens could not be stored";
}
