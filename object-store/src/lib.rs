//! A customer's own key under every program that speaks [`object_store`]: [`EncryptedStore`] wraps
//! a store, encrypts what is put and decrypts what is got. The store, its operator and its backups
//! see sizes, names and headers, and cannot read an object or change it unnoticed.
//!
//! ```
//! use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper};
//! use ncp_envelope_object_store::EncryptedStore;
//! use object_store::memory::InMemory;
//! use object_store::{ObjectStoreExt, path::Path};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
//! // In production the wrapper is `kms.key("key-tag")?`, and the store an `AmazonS3`.
//! let limits = CacheLimits::new(std::time::Duration::from_secs(300));
//! let envelope = Envelope::builder(wrapper).cache(limits).build()?;
//! let store = EncryptedStore::new(InMemory::new(), envelope);
//!
//! let path = Path::from("reports/2026.csv");
//! store.put(&path, "id,amount\n1,40\n".into()).await?;
//! assert_eq!(store.head(&path).await?.size, 15, "the plaintext's");
//! assert_eq!(store.get_range(&path, 10..14).await?, "1,40");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What an object is
//!
//! A message of [`ncp_envelope`] in the [page profile](ncp_envelope::format::Profile::Page): a
//! header of 4,096 bytes, with the wrapped data key, then 56 bytes and the chunks, each of 16 KiB
//! and a tag. Every object has a data key of its own, unless the envelope reuses them. As all headers of a store have one length,
//! a listing tells the sizes of plaintexts, and `ncp-envelope decrypt` reads what was downloaded.
//!
//! # What is proven, and what is not
//!
//! * Each byte that is given out was verified, at its place in its object. A read that reaches the
//!   end of an object proves that this is the end.
//! * Sizes in listings, in `head` and in [`ObjectMeta`](object_store::ObjectMeta) are computed from
//!   what the store says. A store that cuts an object shows a smaller size; who reads to that end
//!   gets an error.
//! * Names, times, ETags, attributes and tags are the store's. A store that gives out another
//!   object of the same envelope, or an older version, is not noticed, unless something in the
//!   object's encryption context says which it is: [`StoreOptions::encrypt`] and
//!   [`StoreOptions::policy`], or a [scope](ncp_envelope::Envelope::for_scope), separate stores and
//!   tenants from each other.
//!
//! # Cost
//!
//! A get of a whole object, a put, a listing, a copy and a removal are one request each, as without
//! encryption. The first read of a range of an object is two requests, since its header is needed;
//! later ones are one, as headers are remembered with their ETags.
//!
//! Give the envelope a [cache](ncp_envelope::EnvelopeBuilder::cache): without one every read asks
//! the key service. New data keys are wrapped by the hundred if it has a
//! [pool](ncp_envelope::EnvelopeBuilder::pool), and are far fewer than objects if it
//! [reuses](ncp_envelope::EnvelopeBuilder::reuse) them, which 10,000 small objects want: put and
//! got by 64 tasks they then cost a handful of calls.
//!
//! A put is sealed where its future is polled, by as many threads as the envelope is
//! [told](ncp_envelope::Envelope::threads). A multipart upload seals each part as it is given,
//! holds less than one part beside those in flight, and never seals anything twice.

mod error;
mod get;
mod headers;
mod options;
mod put;
mod sizes;
mod store;
mod upload;

pub use options::StoreOptions;
pub use store::EncryptedStore;
