//! Client of NAVER Cloud Platform Key Management Service, and the key wrapper built on it.
//!
//! A [`Client`] knows where the service is and who calls; a [`Key`] is one key-encryption key seen through a client. A `Key` makes
//! the cipher calls, and it is a [`KeyWrapper`](crate::KeyWrapper).
//!
//! ```no_run
//! # async fn example() -> ncp_envelope::Result<()> {
//! use ncp_envelope::kms::{Client, Credentials, Endpoint};
//! let client = Client::builder().endpoint(Endpoint::Global).credentials(Credentials::from_env()?).build()?;
//! let key = client.key("my-key-tag")?;
//! let ciphertext = key.encrypt(b"hello").await?;
//! assert_eq!(key.decrypt(&ciphertext).await?.expose_secret(), b"hello");
//! # Ok(())
//! # }
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
//! # Promises
//!
//! * No plaintext, credential or signature is in an error, a `Debug` output or a URL. Buffers of this module that held plaintext or
//!   credentials are wiped; copies in the HTTP and TLS libraries' own buffers are not.
//! * Nothing but a loopback address is called without TLS. Redirects are not followed. Proxy settings of the environment are not
//!   used: a call goes to the endpoint or nowhere.
//! * Every call ends within its time ([`ClientBuilder::call_timeout`]), repetitions included. Every attempt is signed anew.
//! * Whatever the service answers, the result is a value or an error; answers longer than 1 MiB are not read to their end.
//! * Dropping a call's future abandons the call; nothing runs on in the background.
//!
//! Calls need a Tokio runtime with its I/O and time drivers. This module knows nothing of caches, of the message format or of
//! policy; it uses the crate's errors, secrets and [`wrap`](crate::wrap) only.
//!
//! # Errors of calls
//!
//! | kind | when | repeated |
//! | --- | --- | --- |
//! | `Credentials` | HTTP 401, `UNAUTHORIZED`; a token that could not be refreshed | once, after a refresh |
//! | `AccessDenied` | HTTP 403, `FORBIDDEN`, the gateway's 401 with code 210 | no |
//! | `KeyUnusable` | HTTP 404 and 422, `NOT_FOUND`, `INVALID_STATUS`, `UNPROCESSABLE_ENTITY` | no |
//! | `InvalidInput` | `INVALID_REQUEST` and other HTTP 4xx; the service says no more when it cannot decrypt a ciphertext | no |
//! | `LimitExceeded` | HTTP 413, or more than a call may hold | no |
//! | `Throttled` | HTTP 429 | yes |
//! | `Unavailable` | no connection, no answer in time, HTTP 408 and 5xx; a redirect or an answer of another server | all but the last two |
//! | `Internal` | an answer that breaks the service's contract | no |

mod auth;
mod breaker;
mod cipher;
mod claims;
mod client;
mod clock;
mod connect;
mod endpoint;
mod enter;
mod gate;
mod limit;
mod manner;
mod names;
mod quota;
mod rate;
mod refresh;
mod retry;
mod send;
mod sign;
mod stats;
mod time;
mod token_store;
mod tokens;
mod wire;
mod wrapper;

pub use auth::Credentials;
pub use cipher::{Key, MAX_BATCH_ITEMS, MAX_CALL_PLAINTEXT, MAX_CONVERGENT_CONTEXT, key_version};
pub use claims::{TokenClaims, TokenKind};
pub use client::{Client, ClientBuilder};
pub use endpoint::{Api, Endpoint, SignatureVersion};
pub use names::{GeneratorStatus, KeyStatus, KeyType, Protection, RequestType, VersionStatus};
pub use rate::RateLimit;
pub use sign::{CustomKey, CustomKeyBits, MAX_SIGN_DATA};
pub use stats::Stats;
pub use time::Timestamp;
pub use token_store::{FileTokenStore, MemoryTokenStore, TokenStore};
pub use tokens::{KeyTokens, MAX_TOKEN_HOURS, TokenGenerator, TokenHours, TokenLifetimes, TokenSet};
