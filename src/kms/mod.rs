//! Client of NAVER Cloud Platform Key Management Service, and the key wrapper built on it.
//!
//! A [`Client`] has an endpoint and credentials; a [`Key`] is one key-encryption key seen through a
//! client. A `Key` makes the cipher calls, and it is a [`KeyWrapper`](crate::KeyWrapper).
//!
//! | calls | from | API | credentials |
//! | --- | --- | --- | --- |
//! | encrypt, decrypt, re-encrypt | [`Key`] | 1.0 and 2.0 | account, or the key's token (2.0) |
//! | custom keys, sign, verify | [`Key`] | 1.0 and 2.0 | account, or the key's token (2.0) |
//! | public key | [`Key`] | 2.0 | account, or the key's access token |
//! | tokens of a key, their generator | [`Key::tokens`] | 2.0 | account, or the token given |
//! | managing a key, its versions and log | [`Key::admin`] | 2.0 | account |
//! | IP ACL of a key | [`Key::acl`] | 2.0 | account |
//! | creating and listing keys | [`Client::keys`] | 2.0 | account |
//!
//! With credentials and settings from the environment: [`Client::from_env`]. In code, here for an
//! emulator of the service:
//!
//! ```
//! # #[cfg(feature = "emulator")] {
//! use ncp_envelope::emulator::Emulator;
//! use ncp_envelope::kms::{Client, Credentials, Endpoint};
//! # let emulator = Emulator::builder().start_blocking()?;
//! # let (access_key, secret_key) = (emulator.access_key(), emulator.secret_key());
//! # ncp_envelope::blocking::wait(async {
//! let credentials = Credentials::account(access_key, secret_key)?;
//! let endpoint = Endpoint::Custom(emulator.url().to_owned());
//! let client = Client::builder().endpoint(endpoint).credentials(credentials).build()?;
//! let key = client.key(emulator.key_tag())?;
//! let ciphertext = key.encrypt(b"hello").await?;
//! assert_eq!(key.decrypt(&ciphertext).await?.expose_secret(), b"hello");
//! # Ok::<(), ncp_envelope::Error>(())
//! # })??;
//! # }
//! # Ok::<(), ncp_envelope::Error>(())
//! ```
//!
//! # Four ways to authenticate
//!
//! | API | credentials | signature |
//! | --- | --- | --- |
//! | [`Api::V1`] | account and API Gateway key | [`SignatureVersion::V1`] |
//! | [`Api::V1`] | account | [`SignatureVersion::V2`] |
//! | [`Api::V2`] | account | [`SignatureVersion::V2`] |
//! | [`Api::V2`] | a key's token | none |
//!
//! # Where credentials come from
//!
//! From the caller ([`ClientBuilder::credentials`]), from a [`CredentialSource`] of the caller, or
//! from where the machine has them ([`CredentialChain`]): environment, files, and the Server Role
//! of a server in the cloud ([`ServerRole`]). The account keys of a running client can be replaced,
//! and all else stays: it asks its source before the keys expire and when they are refused, in
//! single flight, and [`Client::set_account`] sets them.
//!
//! # Promises
//!
//! * No plaintext, credential or signature is in an error, a `Debug` output or a URL. Buffers of
//!   this module that held plaintext or credentials are zeroized; copies in the HTTP and TLS
//!   libraries' own buffers are not.
//! * Only loopback addresses are called without TLS. The metadata service has nothing else: it is
//!   asked in plain HTTP, only for the keys of a [`ServerRole`]. Redirects are not followed. Proxy
//!   settings of the environment are used only if that is chosen ([`Proxy::System`]), and plain
//!   HTTP never goes through a proxy.
//! * Every call ends within its timeout ([`ClientBuilder::call_timeout`]), retries included. Every
//!   attempt is signed anew.
//! * Whatever the service answers, the result is a value or an error; a response is read up to 1
//!   MiB.
//! * Calls that are not idempotent - they create, change, rotate or delete something, or issue a
//!   token - are retried only if the service saw nothing of them. They start on a new connection,
//!   as an idle one may be dead. The column "retried" of the table is for all other calls.
//! * Dropping a call's future cancels the call and releases what it held; nothing continues in the
//!   background.
//!
//! # Under faults
//!
//! * Idempotent calls are retried up to twice with jittered backoff. All calls of a client share a
//!   retry budget: 20, and one more for every two successes. A request lost with an idle connection
//!   that the service closed is sent again at once, and costs nothing.
//! * A circuit breaker fails calls at once while the host, or the host for one key, does not answer
//!   ([`ClientBuilder::circuit_breaker`]).
//! * A rate limiter with a FIFO queue keeps calls under the service's limit
//!   ([`ClientBuilder::rate_limit`]). In no second does the service see more calls than the limit,
//!   whatever the network delays; if it throttles, the client slows down. A `Retry-After` stops the
//!   calls with a key for 10 s at most; if it asks for longer, one call at a time probes whether it
//!   still holds.
//! * A timestamp that the gateway refused is corrected by the `Date` of its response, once, if that
//!   is 4.5 minutes or more away and at most 48 hours from the system clock. Later calls are signed
//!   with the corrected time. Responses of anything else on the way, such as the page of a proxy,
//!   do not correct the clock.
//! * A token with a known expiry is refreshed in the last tenth of its life, at most an hour ahead,
//!   by one caller while the others continue with it. A refresh token is replaced too, at most 7
//!   days ahead, and goes to the [`TokenStore`]. Before a refresh, and before a call fails for lack
//!   of tokens, the store is read again under a lock that all processes share; tokens that live
//!   longer are used and kept.
//! * If an account is given with tokens, it issues a new set when both are refused
//!   ([`ClientBuilder::issue_tokens`]), and makes the calls that tokens cannot make.
//! * [`Client::stats`] counts all of this. With the feature `tracing` each call has a span
//!   (`kms_call`), and retries, the circuit breaker and refreshes have events, all with the target
//!   `ncp_envelope::kms`.
//!
//! Calls can be awaited on any executor, see [`Client`]. This module knows nothing of caches, of
//! the message format or of policy; it uses only the crate's errors, secrets, configuration forms
//! and [`wrap`](crate::wrap).
//!
//! # Errors of calls
//!
//! | kind | when | retried |
//! | --- | --- | --- |
//! | `Credentials` | HTTP 401, `UNAUTHORIZED`; no new tokens, no keys | with new tokens or keys |
//! | `AccessDenied` | HTTP 403, `FORBIDDEN`, the gateway's 401 with code 210 | no |
//! | `KeyUnusable` | HTTP 404 and 422, `NOT_FOUND`, `INVALID_STATUS`, `UNPROCESSABLE_ENTITY` | no |
//! | `InvalidInput` | `INVALID_REQUEST` and other HTTP 4xx, a broken ciphertext among them | no |
//! | `LimitExceeded` | HTTP 413, or more than a call may hold | no |
//! | `Throttled` | HTTP 429; a full queue, a turn after the deadline | the first |
//! | `Unavailable` | no connection, no response in time, HTTP 408 and 5xx | yes |
//! | `Unavailable` | an open circuit breaker, a redirect, a response of another server | no |
//! | `Internal` | a response that breaks the service's contract | no |
//!
//! [`Error::retry_after`](crate::Error::retry_after) says when to call again, where that is known:
//! from a `Retry-After` of the service, a day at most, from the open circuit breaker, or from the
//! rate limit, when the turn would come too late.
//!
//! The service does not document how it refuses an expired token. So any refusal leads to one
//! refresh and one retry if the access token itself says that it expired or is about to.

mod auth;
mod builder;
mod call;
mod config;
mod endpoint;
mod environment;
mod key;
mod manage;
#[cfg(feature = "profile")]
mod profile;
mod source;
mod time;
mod token;
mod vocabulary;
mod wire;

pub use auth::Credentials;
pub use auth::claims::{TokenClaims, TokenKind};
pub use auth::environment::secret_from_env;
pub use auth::file_store::FileTokenStore;
pub use auth::source::CredentialSource;
pub use auth::store::{MemoryTokenStore, StoreLock, TokenStore};
pub use auth::token_set::{MAX_TOKEN_HOURS, TokenSet};
pub use builder::ClientBuilder;
pub use call::client::Client;
pub use call::proxy::Proxy;
pub use call::rate::RateLimit;
pub use call::stats::Stats;
pub use endpoint::{Api, Endpoint, SignatureVersion};
pub use key::cipher::{
    Key, MAX_BATCH_ITEMS, MAX_CALL_PLAINTEXT, MAX_CONVERGENT_CONTEXT, key_version,
};
pub use key::sign::{CustomKey, CustomKeyBits, MAX_SIGN_DATA};
pub use manage::acl::{Acl, KeyAcl};
pub use manage::activity::{Activity, ActivityPages, ActivityQuery};
pub use manage::admin::{AutoRotation, KeyAdmin, Rotation, StatusChange};
pub use manage::describe::{KeyInfo, KeyVersion, KeyVersions};
pub use manage::keys::{CreateKey, KeyPages, Keys};
pub use manage::pages::{MAX_PAGE_SIZE, Page};
#[cfg(feature = "profile")]
pub use profile::Profile;
pub use source::chain::{CredentialChain, CredentialPlace};
pub use source::server_role::ServerRole;
pub use time::Timestamp;
pub use token::issue::{KeyTokens, TokenGenerator, TokenHours, TokenLifetimes};
pub use vocabulary::{GeneratorStatus, KeyStatus, KeyType, Protection, RequestType, VersionStatus};
