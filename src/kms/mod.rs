//! Client of NAVER Cloud Platform Key Management Service, and the key wrapper built on it.
//!
//! A [`Client`] knows where the service is and who calls; a [`Key`] is one key-encryption key seen
//! through a client. A `Key` makes the cipher calls, and it is a [`KeyWrapper`](crate::KeyWrapper).
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
//! ```no_run
//! # async fn example() -> ncp_envelope::Result<()> {
//! use ncp_envelope::kms::{Client, Credentials, Endpoint};
//! let credentials = Credentials::from_env()?;
//! let client = Client::builder().endpoint(Endpoint::Global).credentials(credentials).build()?;
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
//! # Where credentials come from
//!
//! From the caller ([`ClientBuilder::credentials`]), from a [`CredentialSource`] of the caller's,
//! or from where the machine has them ([`CredentialChain`]): environment, files, and the Server
//! Role of a server in the cloud ([`ServerRole`]). A client that runs can be given other account
//! keys and keeps all else: its source is asked ahead of the keys' end and when they are refused,
//! once for all callers, and [`Client::set_account`] sets them.
//!
//! # Promises
//!
//! * No plaintext, credential or signature is in an error, a `Debug` output or a URL. Buffers of
//!   this module that held plaintext or credentials are wiped; copies in the HTTP and TLS
//!   libraries' own buffers are not.
//! * Nothing but a loopback address is called without TLS; the metadata service, which has nothing
//!   else, is asked in plain HTTP for the keys of a [`ServerRole`] only. Redirects are not
//!   followed. Proxy settings of the environment are not used unless that is chosen
//!   ([`Proxy::System`]), and plain HTTP never goes through a proxy.
//! * Every call ends within its time ([`ClientBuilder::call_timeout`]), repetitions included. Every
//!   attempt is signed anew.
//! * Whatever the service answers, the result is a value or an error; answers longer than 1 MiB are
//!   not read to their end.
//! * What creates, changes, rotates or deletes something, or issues a token, is sent again only if
//!   the service saw nothing of it, and starts on a connection of its own, as an idle one may be
//!   dead. The table's "repeated" is for all other calls.
//! * Dropping a call's future abandons the call and gives back whatever it held; nothing runs on in
//!   the background.
//!
//! # Under faults
//!
//! * What may be repeated is repeated up to twice after a jittered pause. All calls of a client
//!   share a quota of repetitions: 20, and one more for every two successes. A request lost with an
//!   idle connection that the service closed is sent again at once, and for free.
//! * A circuit breaker fails calls at once while the host, or the host for one key, does not answer
//!   ([`ClientBuilder::circuit_breaker`]).
//! * A queue keeps calls under the service's limit ([`ClientBuilder::rate_limit`]), in the order in
//!   which they came. No second sees more calls than the limit, whatever the network delays;
//!   refusals slow the client down. A `Retry-After` stops the calls with a key for 10 s at most;
//!   while it asks for longer one call at a time finds out whether it still holds.
//! * A timestamp that the gateway refused is put right from the `Date` of its answer, once, if that
//!   is 4.5 minutes or more away and at most 48 hours from the system's clock; later calls are
//!   signed with the right time from the beginning. Answers of anything else on the way, such as a
//!   proxy's page, do not move the clock.
//! * A token that says when it expires is replaced in the last tenth of its life, at most an hour
//!   ahead, by one caller while the others go on with it. A refresh token is replaced too, at most
//!   7 days ahead, and goes to the [`TokenStore`]. Before the service is asked for tokens, and
//!   before a call fails for want of them, the store is read again, under a lock that all processes
//!   share, and what lives longer is used and kept.
//! * Where an account is given beside tokens, it issues a new set when both are refused
//!   ([`ClientBuilder::issue_tokens`]), and makes the calls that tokens cannot make.
//! * [`Client::stats`] counts all of this. With the feature `tracing` each call has a span
//!   (`kms_call`), and repetitions, the breaker and refreshes have events, all under the target
//!   `ncp_envelope::kms`.
//!
//! Calls can be waited for on any executor, see [`Client`]. This module knows nothing of caches, of
//! the message format or of policy; it uses the crate's errors, secrets and [`wrap`](crate::wrap)
//! only.
//!
//! # Errors of calls
//!
//! | kind | when | repeated |
//! | --- | --- | --- |
//! | `Credentials` | HTTP 401, `UNAUTHORIZED`; no new tokens, no keys | with new tokens or keys |
//! | `AccessDenied` | HTTP 403, `FORBIDDEN`, the gateway's 401 with code 210 | no |
//! | `KeyUnusable` | HTTP 404 and 422, `NOT_FOUND`, `INVALID_STATUS`, `UNPROCESSABLE_ENTITY` | no |
//! | `InvalidInput` | `INVALID_REQUEST` and other HTTP 4xx, a broken ciphertext among them | no |
//! | `LimitExceeded` | HTTP 413, or more than a call may hold | no |
//! | `Throttled` | HTTP 429; a full queue, a turn that comes too late | the first |
//! | `Unavailable` | no connection, no answer in time, HTTP 408 and 5xx | yes |
//! | `Unavailable` | an open circuit breaker, a redirect or an answer of another server | no |
//! | `Internal` | an answer that breaks the service's contract | no |
//!
//! The service does not document how it refuses a token that has ended. So any refusal is followed
//! by one refresh and one repetition if the access token itself says that it ended or is about to.

mod auth;
mod builder;
mod call;
mod config;
mod endpoint;
mod environment;
mod key;
mod manage;
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
pub use source::chain::CredentialChain;
pub use source::server_role::ServerRole;
pub use time::Timestamp;
pub use token::issue::{KeyTokens, TokenGenerator, TokenHours, TokenLifetimes};
pub use vocabulary::{GeneratorStatus, KeyStatus, KeyType, Protection, RequestType, VersionStatus};
