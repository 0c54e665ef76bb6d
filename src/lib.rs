//! Envelope encryption for data whose key-encryption keys are held in NAVER Cloud Platform Key
//! Management Service.
//!
//! ```no_run
//! # #[cfg(feature = "kms")]
//! # async fn example() -> ncp_envelope::Result<()> {
//! use ncp_envelope::kms::{Client, Credentials, Endpoint};
//! use ncp_envelope::Envelope;
//!
//! let credentials = Credentials::from_env()?;
//! let client = Client::builder().endpoint(Endpoint::Global).credentials(credentials).build()?;
//! let envelope = Envelope::builder(client.key("key-tag")?).scope("tenant-42").build()?;
//! let message = envelope.encrypt("hello", [("purpose", "greeting")]).await?;
//! let opened = envelope.decrypt(&message, [("purpose", "greeting")]).await?;
//! assert_eq!(opened, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! ```text
//!   plaintext ──────────────► Encryptor ──► header │ chunk 0 │ chunk 1 │ … │ last chunk
//!                                ▲             │
//!        data key (32 bytes, ────┘             └─ encryption context (in the clear, authenticated)
//!        random, made here)                       key slots: wrapped data key, key tag
//!                │                                                ▲
//!                └──► with suite and scope, 80 bytes ──► KeyWrapper (the key service's Encrypt)
//! ```
//!
//! Reading goes the other way: the header is checked against a [`DecryptPolicy`], the key service
//! unwraps the data key (or a cache has it), a commitment proves that key, header and associated
//! data belong together, and chunks come out as their tags are verified.
//!
//! # What is where
//!
//! | to … | use |
//! | --- | --- |
//! | encrypt small data | [`Envelope::encrypt`], [`Envelope::decrypt`] |
//! | use a buffer again | [`Envelope::encrypt_into`], [`Envelope::decrypt_into`] |
//! | encrypt many small data | [`Envelope::encrypt_many`], [`Envelope::decrypt_many`] |
//! | the same, each in its own context | [`Envelope::encrypt_many_with`] |
//! | encrypt files, all or nothing | [`Envelope::encrypt_file`], [`Envelope::decrypt_file`] |
//! | encrypt many files with few calls | [`Envelope::encrypt_files`], [`Envelope::decrypt_files`] |
//! | encrypt a stream into another | [`Envelope::encrypt_stream`], [`Envelope::decrypt_stream`] |
//! | write and read as you go | [`Envelope::writer`], [`Envelope::reader`] |
//! | read parts of a message | [`Envelope::range_reader`], [`Envelope::async_range_reader`] |
//! | verify a file and write nothing | [`Envelope::verify_file`] |
//! | do any of it without `async` | [`Envelope::blocking`], [`blocking`] |
//! | the same on tokio | `Envelope::async_writer`, `Envelope::async_reader` |
//! | encrypt short values, and search among them | [`fields`], [`fields::KeyRing`] |
//! | bind a message to its purpose | [`EncryptionContext`], [`EncryptOptions::aad`], [`Scope`] |
//! | say what is accepted when reading | [`DecryptPolicy`] |
//! | write for several keys, read with any | [`EnvelopeBuilder::and`], [`Envelope::key_ids`] |
//! | keep unwrapped keys for a while | [`CacheLimits`]; shared by several envelopes [`KeyCache`] |
//! | have data keys ready for writing, or share one | [`PoolLimits`], [`ReuseLimits`] |
//! | wipe keys now | [`Envelope::forget_keys`], [`Envelope::invalidate`] |
//! | use no key of an old version | [`Envelope::retire_below`] |
//! | move stored messages to a key's newest version | [`Envelope::rewrap_files`] |
//! | know what depends on which version | [`stored::audit`](stored::audit()) |
//! | change which keys open a file | [`Envelope::change_slots`] |
//! | give a file a new data key | [`Envelope::rekey_file`] |
//! | replace the key slots of a file | [`stored::StoredMessage`] |
//! | see what was asked and what was not | [`Envelope::stats`] |
//! | reach NCP's key service | `kms` (feature `kms`) |
//! | have a key service in a test | `emulator` (feature `emulator`), [`LocalKeyWrapper`] |
//! | use another key service | [`KeyWrapper`], checked by [`wrap::conformance`] |
//! | handle messages without any I/O | [`format`](mod@format) |
//!
//! All errors are [`Error`], with an [`ErrorKind`] to decide on. The format of messages is
//! specified in `docs/format.md`, what is and is not defended against in `SECURITY.md`.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `kms` (default) | the client of the key service |
//! | `tokio` (default) | asynchronous reader and writer |
//! | `emulator` | the emulator of the key service |
//! | `profile` | clients that are set up by profiles of a configuration file |
//! | `serde` | [serde](#configuration): configuration files, [`fields::FieldText`]; in `kms` |
//! | `tracing` | spans and events of the client's calls, without secrets |
//! | `cli` | the program `ncp-envelope` |
//!
//! # Configuration
//!
//! What is put into configuration files can be read and written with serde (feature `serde`):
//! limits, key ids, layouts, contexts, and with `kms` the settings of a client. Durations are text
//! such as `5m`, or whole seconds. A field that is not known is refused. Credentials are never
//! among it.
//!
//! ```
//! # #[cfg(feature = "serde")] {
//! use ncp_envelope::{CacheLimits, EncryptionContext};
//! let cache: CacheLimits = serde_json::from_str(r#"{ "ttl": "10m", "stale_window": "1h" }"#)?;
//! let context: EncryptionContext = serde_json::from_str(r#"{ "tenant": "42" }"#)?;
//! assert_eq!(context.get("tenant"), Some("42"));
//! assert!(serde_json::from_str::<CacheLimits>(r#"{ "tll": "10m" }"#).is_err());
//! # }
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Features add calls and never change what a call does. Without any, nothing in the dependency
//! tree knows HTTP, TLS, serde or async, and futures run on any executor.

// Which feature an item needs is shown with it, for as long as only a nightly rustdoc does so.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod blocking;
#[cfg(feature = "serde")]
mod config;
mod context;
mod crew;
mod crypto;
mod datakey;
mod envelope;
mod error;
pub mod fields;
pub mod format;
pub mod io;
mod memory;
mod output;
mod policy;
mod process;
mod random;
mod runtime;
mod secret;
mod stack;
pub mod stored;
mod suite;
pub mod wrap;

#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "kms")]
pub mod kms;

pub use blocking::BlockingEnvelope;
pub use context::{ContextPairs, EncryptionContext, MAX_CONTEXT_LEN, MAX_CONTEXT_PAIRS, Scope};
pub use crypto::CipherBackend;
pub use datakey::{
    BatchStats, CacheLimits, CacheStats, EnvelopeStats, KeyCache, PoolLimits, PoolStats,
    RecipientStats, ReuseLimits,
};
pub use envelope::{Envelope, EnvelopeBuilder, Opened};
pub use error::{Error, ErrorKind, Result};
pub use policy::{DecryptPolicy, EncryptOptions, ToDecryptPolicy, ToEncryptOptions};
pub use secret::{DATA_KEY_LEN, DataKey, SecretBytes, into_string};
pub use wrap::{KeyId, KeyWrapper, LocalKeyWrapper, WrappedKey};
